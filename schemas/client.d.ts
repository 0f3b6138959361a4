/** A Supabase client, as far as it is needed: supabase-js fits. */
export interface SupabaseLike {
  rpc(name: string, args?: Record<string, unknown>): PromiseLike<{
    data: unknown;
    error: { code?: string; message: string; details?: string | null; hint?: string | null } | null;
    status?: number;
  }>;
  channel?(topic: string, options?: unknown): unknown;
  removeChannel?(channel: never): unknown;
  realtime?: unknown;
}

/** Who asks: a Supabase client, or its URL and a key (and the access token of who signed in). */
export interface MemoriaOptions {
  supabase?: SupabaseLike;
  url?: string;
  key?: string;
  accessToken?: string | (() => string | null | Promise<string | null>);
  /** Where /search answers; for guests' searches only. */
  searchUrl?: string;
  /** Give up on one call after so long: 30,000. */
  timeoutMs?: number;
  fetch?: typeof fetch;
}

/** What every call throws. */
export class MemoriaError extends Error {
  /** For programs: not_found, forbidden, conflict, suggestion_gone, unreachable, no_face … */
  code: string;
  /** One plain sentence that may be shown to whoever uses your app. */
  words: string;
  /** HTTP's, or 0 where nothing answered. */
  status: number;
  /** What the database tells besides; mostly empty. */
  details: {
    /** Of a person who was merged into another: that person's id and name. */
    is_now?: Uuid;
    name?: string | null;
    /** Of an undo: the later changes that rest on that one. */
    rest_on_it?: { change_id: number; kind: string }[];
  };
  /** Of too_many_searches: when to try again. */
  retryAfterSeconds?: number;
  /** Of several_faces: their boxes. Send the middle of the right one as `point`. */
  faces?: Box[];
}

/** What `watch` tells. Without Realtime it is found out by asking every two seconds. */
export type EventNews =
  | { event: "progress"; photos: Counts }
  | { event: "people"; people: number; faces: number; complete: boolean; photos: Counts;
      clustered_at: string; version: number }
  | { event: "photo_failed"; media_id: string; code: string; message: string }
  | { event: "error"; error: MemoriaError };

export interface WatchOptions {
  /** Without Realtime: how often to ask. 2,000. */
  everyMs?: number;
  /** With Realtime, which may lose a message: how often to ask all the same. 30,000. */
  backupMs?: number;
}

/** What a guest searches with. */
export interface Selfie {
  token: string;
  /** One to three pictures of the same person; three find far more guests than one. */
  images: Blob[];
  /** The version of the text that the guest accepted. */
  consent: string;
  /** A random id that the page keeps. */
  guest?: string;
  /** Which face, after several_faces: fractions of the picture. */
  point?: { x: number; y: number };
}

export interface EarlierSearch {
  token: string;
  search_id: string;
  guest?: string;
}

/** Whatever has a box: a face, a cover, a found photo. width and height: the upright photo's, in any unit. */
export interface Drawable {
  bbox: Box;
  width?: number | null;
  height?: number | null;
}

export interface DrawOptions {
  /** How much is seen around the face, in sizes of the face: 0.4. */
  margin?: number;
}

/** The square around a face, as fractions of the photo: never beyond its edges. */
export function faceSquare(face: Drawable, size: { width: number; height: number }, margin?: number): Box;

/** Draws the face, from any rendition of its photo, all over a canvas that should be square. */
export function drawFace(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  photo: CanvasImageSource,
  face: Drawable,
  options?: DrawOptions,
): void;

/** The same for a square element of any size: give it to `Object.assign(element.style, …)` or as React's style. */
export function faceStyle(face: Drawable, photoUrl: string, options?: DrawOptions): {
  backgroundImage: string;
  backgroundSize: string;
  backgroundPosition: string;
  backgroundRepeat: string;
};

/** What `all` reads, by call. */
export interface Lists {
  people: { args: PeopleArguments; item: Person };
  personPhotos: { args: PersonPhotosArguments; item: Photo };
  photosWith: { args: PhotosWithArguments; item: Photo };
  media: { args: MediaArguments; item: Photo };
  unassignedFaces: { args: UnassignedFacesArguments; item: UnassignedFace };
  history: { args: HistoryArguments; item: Change };
  searchLinks: { args: SearchLinksArguments; item: SearchLink };
  members: { args: MembersArguments; item: Member };
}

export interface Memoria {
  // every call stands here

  /** Every page of a list, read again from the start where it changes meanwhile. */
  all<Call extends keyof Lists>(call: Call, args: Lists[Call]["args"]): Promise<Lists[Call]["item"][]>;

  /** Follows an event: how it stands now, then what happens. Returns how to end it. */
  watch(event_id: string, tell: (news: EventNews) => void, options?: WatchOptions): () => void;

  /** A guest's selfie in, the guest's photos out. */
  search(selfie: Selfie): Promise<Search>;
  /** Today's photos of an earlier search, without another selfie. */
  searchAgain(earlier: EarlierSearch): Promise<SearchAgain>;
  /** Asks the host to take the guest out of the event. */
  requestRemoval(earlier: EarlierSearch): Promise<Removal>;
}

/** Memoria for your app. */
export function createMemoria(options: MemoriaOptions): Memoria;
