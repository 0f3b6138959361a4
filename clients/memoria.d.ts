// Made from schemas/ by `make schemas`: do not edit.

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
  renamePerson(args: RenamePersonArguments): Promise<RenamePersonAnswer>;
  hidePerson(args: HidePersonArguments): Promise<HidePersonAnswer>;
  assignFace(args: AssignFaceArguments): Promise<AssignFaceAnswer>;
  rejectFace(args: RejectFaceArguments): Promise<RejectFaceAnswer>;
  mergePeople(args: MergePeopleArguments): Promise<MergePeopleAnswer>;
  splitPerson(args: SplitPersonArguments): Promise<SplitPersonAnswer>;
  forgetPerson(args: ForgetPersonArguments): Promise<ForgetPersonAnswer>;
  rejectFaces(args: RejectFacesArguments): Promise<RejectFacesAnswer>;
  tellApart(args: TellApartArguments): Promise<TellApartAnswer>;
  setCover(args: SetCoverArguments): Promise<SetCoverAnswer>;
  dismissFace(args: DismissFaceArguments): Promise<DismissFaceAnswer>;
  /** change_id is that of the undoing, which can be taken back too. */
  undo(args: UndoArguments): Promise<UndoAnswer>;
  /** What happened to people, latest first. */
  history(args: HistoryArguments): Promise<HistoryAnswer>;
  /** Questions that the last run has made, those most worth asking first. */
  suggestions(args: SuggestionsArguments): Promise<SuggestionsAnswer>;
  answerSuggestion(args: AnswerSuggestionArguments): Promise<AnswerSuggestionAnswer>;
  /** The face is read by a job; it stays where no model can read it. */
  addFace(args: AddFaceArguments): Promise<AddFaceAnswer>;
  createEvent(args: CreateEventArguments): Promise<CreateEventAnswer>;
  setOwner(args: SetOwnerArguments): Promise<SetOwnerAnswer>;
  addMember(args: AddMemberArguments): Promise<AddMemberAnswer>;
  removeMember(args: RemoveMemberArguments): Promise<RemoveMemberAnswer>;
  members(args: MembersArguments): Promise<MembersAnswer>;
  eventStatus(args: EventStatusArguments): Promise<EventStatusAnswer>;
  archiveEvent(args: ArchiveEventArguments): Promise<ArchiveEventAnswer>;
  reopenEvent(args: ReopenEventArguments): Promise<ReopenEventAnswer>;
  deleteEvent(args: DeleteEventArguments): Promise<DeleteEventAnswer>;
  recluster(args: ReclusterArguments): Promise<ReclusterAnswer>;
  reprocess(args: ReprocessArguments): Promise<ReprocessAnswer>;
  setRetention(args: SetRetentionArguments): Promise<SetRetentionAnswer>;
  enqueue(args: EnqueueArguments): Promise<EnqueueAnswer>;
  enqueueMany(args: EnqueueManyArguments): Promise<EnqueueManyAnswer>;
  deleteMedia(args: DeleteMediaArguments): Promise<DeleteMediaAnswer>;
  /** The people of an event, largest first. */
  people(args: PeopleArguments): Promise<PeopleAnswer>;
  /** A person's photos, with the boxes of that person. */
  personPhotos(args: PersonPhotosArguments): Promise<PersonPhotosAnswer>;
  /** The photos that show these people, with their boxes. */
  photosWith(args: PhotosWithArguments): Promise<PhotosWithAnswer>;
  /** One photo with everybody in it. */
  photo(args: PhotoArguments): Promise<PhotoAnswer>;
  /** The photos of an event in the order in which they came. */
  media(args: MediaArguments): Promise<MediaAnswer>;
  /** The faces that are nobody's. */
  unassignedFaces(args: UnassignedFacesArguments): Promise<UnassignedFacesAnswer>;
  mayFollow(args: MayFollowArguments): Promise<MayFollowAnswer>;
  createSearchLink(args: CreateSearchLinkArguments): Promise<CreateSearchLinkAnswer>;
  openSearch(args: OpenSearchArguments): Promise<OpenSearchAnswer>;
  /** The links that many share, newest first. */
  searchLinks(args: SearchLinksArguments): Promise<SearchLinksAnswer>;
  revokeSearchLink(args: RevokeSearchLinkArguments): Promise<RevokeSearchLinkAnswer>;
  /** The audit: first who asks to be taken out, then newest first. */
  searches(args: SearchesArguments): Promise<SearchesAnswer>;

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

export interface RenamePersonArguments {
  person_id: Uuid;
  name: string | null;
}

export interface RenamePersonAnswer {
  person_id: Uuid;
  name: string | null;
  /** Others of an equal name: perhaps one person, perhaps not. */
  same_name: Uuid[];
  change_id: ChangeId;
}

export interface HidePersonArguments {
  person_id: Uuid;
  hidden: boolean;
}

export interface HidePersonAnswer {
  person_id: Uuid;
  hidden: boolean;
  change_id: ChangeId;
}

export interface AssignFaceArguments {
  face_id: Uuid;
  person_id?: Uuid | null;
}

export interface AssignFaceAnswer {
  face_id: Uuid;
  person_id: Uuid;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface RejectFaceArguments {
  face_id: Uuid;
  person_id: Uuid;
}

export interface RejectFaceAnswer {
  face_id: Uuid;
  person_id: Uuid | null;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface MergePeopleArguments {
  into: Uuid;
  from: Uuid[];
}

export interface MergePeopleAnswer {
  person_id: Uuid;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface SplitPersonArguments {
  person_id: Uuid;
  face_ids: Uuid[];
}

export interface SplitPersonAnswer {
  person_id: Uuid;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface ForgetPersonArguments {
  person_id: Uuid;
}

export interface ForgetPersonAnswer {
  person_id: Uuid;
  faces_forgotten: Count;
}

export interface RejectFacesArguments {
  person_id: Uuid;
  face_ids: Uuid[];
}

export interface RejectFacesAnswer {
  person_id: Uuid;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface TellApartArguments {
  a: Uuid;
  b: Uuid;
}

export interface TellApartAnswer {
  person_id: Uuid;
  other_person_id: Uuid;
  change_id: ChangeId;
}

export interface SetCoverArguments {
  person_id: Uuid;
  face_id: Uuid;
}

export interface SetCoverAnswer {
  person_id: Uuid;
  face_id: Uuid;
  change_id: ChangeId;
}

export interface DismissFaceArguments {
  face_id: Uuid;
}

export interface DismissFaceAnswer {
  face_id: Uuid;
  change_id: ChangeId;
}

export interface UndoArguments {
  change_id: number;
}

/** change_id is that of the undoing, which can be taken back too. */
export interface UndoAnswer {
  undone: number;
  kind: string;
  change_id: ChangeId;
}

export interface HistoryArguments {
  event_id: Id;
  person_id?: Uuid | null;
  after?: AfterChange | null;
  limit?: number;
}

/** What happened to people, latest first. */
export interface HistoryAnswer {
  event_id: Id;
  is_now: Uuid | null;
  changes: Change[];
  next: AfterChange | null;
}

export interface SuggestionsArguments {
  event_id: Id;
  kind?: "same_person" | "who_is_this" | null;
  person_id?: Uuid | null;
  limit?: number;
}

/** Questions that the last run has made, those most worth asking first. */
export interface SuggestionsAnswer {
  event_id: Id;
  total: Count;
  suggestions: (SamePerson | WhoIsThis)[];
}

export interface AnswerSuggestionArguments {
  id: Uuid;
  answer: "same" | "different" | "not_sure" | "nobody";
  person_id?: Uuid | null;
}

export interface AnswerSuggestionAnswer {
  id: Uuid;
  answer: "same" | "different" | "not_sure" | "nobody";
  change_id: ChangeId;
}

export interface AddFaceArguments {
  media_id: Id;
  bbox: Box;
  person?: Uuid | null;
}

/** The face is read by a job; it stays where no model can read it. */
export interface AddFaceAnswer {
  face_id: Uuid;
  person_id: Uuid | null;
  change_id: ChangeId;
  /** The person into whom the one that was asked for was merged. */
  is_now?: Uuid;
}

export interface CreateEventArguments {
  event_id: Id;
  owner_id?: Uuid | null;
}

export interface CreateEventAnswer {
  event_id: Id;
  owner_id: Uuid | null;
  status: EventState;
}

export interface SetOwnerArguments {
  event_id: Id;
  owner_id: Uuid | null;
}

export interface SetOwnerAnswer {
  event_id: Id;
  owner_id: Uuid | null;
}

export interface AddMemberArguments {
  event_id: Id;
  user_id: Uuid;
  role: MemberRole;
}

export interface AddMemberAnswer {
  event_id: Id;
  user_id: Uuid;
  role: MemberRole;
}

export interface RemoveMemberArguments {
  event_id: Id;
  user_id: Uuid;
}

export interface RemoveMemberAnswer {
  event_id: Id;
  user_id: Uuid;
  removed: boolean;
}

export interface MembersArguments {
  event_id: Id;
  after?: AfterMember | null;
  limit?: number;
}

export interface MembersAnswer {
  event_id: Id;
  owner_id: Uuid | null;
  members: Member[];
  next: AfterMember | null;
}

export interface EventStatusArguments {
  event_id: Id;
}

export interface EventStatusAnswer {
  event_id: Id;
  status: EventState;
  clustered_at: Time | null;
  version: Version;
  photos: Counts;
  faces: Count;
  /** As many as memoria_people lists. */
  people: Count;
  /** As many more as it lists with p_with_hidden. */
  hidden_people: Count;
  clustering: "idle" | "waiting" | "running" | "needs_memory" | "failed";
  clustering_error: Reason | null;
  /** Nothing is left to do, and the people are those of all photos. */
  done: boolean;
  failures: FailedPhoto[];
  waiting: WaitingPhoto[];
  not_handed_over: NotHandedOver[];
}

export interface ArchiveEventArguments {
  event_id: Id;
}

export interface ArchiveEventAnswer {
  event_id: Id;
  status: "archived";
  jobs_cancelled: Count;
  vectors_purged: Count;
}

export interface ReopenEventArguments {
  event_id: Id;
}

export interface ReopenEventAnswer {
  event_id: Id;
  status: "open";
  queued: Count;
}

export interface DeleteEventArguments {
  event_id: Id;
}

export interface DeleteEventAnswer {
  event_id: Id;
  deleted: true;
}

export interface ReclusterArguments {
  event_id: Id;
}

export interface ReclusterAnswer {
  event_id: Id;
  job_id: Uuid;
}

export interface ReprocessArguments {
  event_id: Id;
}

export interface ReprocessAnswer {
  event_id: Id;
  queued: Count;
}

export interface SetRetentionArguments {
  event_id: Id;
  days: number | null;
}

export interface SetRetentionAnswer {
  event_id: Id;
  archive_at: Time | null;
}

export interface EnqueueArguments {
  media_id: Id;
  event_id: Id;
  bucket: string;
  path: string;
  preview_path?: string | null;
}

export interface EnqueueAnswer {
  job_id: Uuid | null;
  media_id: Id;
  event_id: Id;
  status: HandOverState;
}

export interface EnqueueManyArguments {
  event_id: Id;
  media: NewPhoto[];
}

export interface EnqueueManyAnswer {
  event_id: Id;
  media: (HandedOver | RefusedPhoto)[];
}

export interface DeleteMediaArguments {
  media_id: Id;
}

export interface DeleteMediaAnswer {
  media_id: Id;
  event_id: Id;
  deleted: true;
}

export interface PeopleArguments {
  event_id: Id;
  after?: AfterPerson | null;
  limit?: number;
  with_hidden?: boolean;
  name?: string | null;
}

/** The people of an event, largest first. */
export interface PeopleAnswer {
  event_id: Id;
  version: Version;
  people: Person[];
  next: AfterPerson | null;
}

export interface PersonPhotosArguments {
  person_id: Uuid;
  after?: AfterPhoto | null;
  limit?: number;
}

/** A person's photos, with the boxes of that person. */
export type PersonPhotosAnswer = Person & {
  event_id: Id;
  version: Version;
  /** The person into whom the one that was asked for was merged. */
  is_now: Uuid | null;
  photos: Photo[];
  next: AfterPhoto | null;
};

export interface PhotosWithArguments {
  event_id: Id;
  people: Uuid[];
  match?: "all" | "any";
  after?: AfterPhoto | null;
  limit?: number;
}

/** The photos that show these people, with their boxes. */
export interface PhotosWithAnswer {
  event_id: Id;
  version: Version;
  photos: Photo[];
  next: AfterPhoto | null;
}

export interface PhotoArguments {
  media_id: Id;
}

/** One photo with everybody in it. */
export type PhotoAnswer = Photo & {
  event_id: Id;
  version: Version;
  people: PersonInPhoto[];
};

export interface MediaArguments {
  event_id: Id;
  after?: AfterPhoto | null;
  limit?: number;
  status?: PhotoState | null;
}

/** The photos of an event in the order in which they came. */
export interface MediaAnswer {
  event_id: Id;
  version: Version;
  media: Photo[];
  next: AfterPhoto | null;
}

export interface UnassignedFacesArguments {
  event_id: Id;
  after?: AfterFace | null;
  limit?: number;
}

/** The faces that are nobody's. */
export interface UnassignedFacesAnswer {
  event_id: Id;
  version: Version;
  faces: UnassignedFace[];
  next: AfterFace | null;
}

export interface MayFollowArguments {
  topic: string;
}

export type MayFollowAnswer = boolean;

export interface CreateSearchLinkArguments {
  event_id: Id;
  options?: LinkOptions;
}

export interface CreateSearchLinkAnswer {
  link_id: Uuid;
  token: Token;
  expires_at: Time;
}

export interface OpenSearchArguments {
  event_id: Id;
  consent: string;
}

export interface OpenSearchAnswer {
  token: Token;
  expires_at: Time;
  search_consent_version: string;
}

export interface SearchLinksArguments {
  event_id: Id;
  after?: AfterLink | null;
  limit?: number;
}

/** The links that many share, newest first. */
export interface SearchLinksAnswer {
  event_id: Id;
  search_consent_version: string;
  links: SearchLink[];
  next: AfterLink | null;
}

export interface RevokeSearchLinkArguments {
  link_id: Uuid;
}

export interface RevokeSearchLinkAnswer {
  link_id: Uuid;
  revoked_at: Time;
}

export interface SearchesArguments {
  event_id: Id;
  limit?: number;
}

/** The audit: first who asks to be taken out, then newest first. */
export interface SearchesAnswer {
  event_id: Id;
  searches: AuditedSearch[];
}

/** What a selfie found. */
export interface Search {
  search_id: Uuid;
  event_id: Id;
  outcome: "found" | "nobody";
  face: {
    bbox: Box;
    quality_score: Fraction;
  };
  matches: Match[];
  searched: Searched;
  model: string;
  thresholds: string;
  complete: boolean;
}

export interface SearchAgain {
  search_id: Uuid;
  event_id: Id;
  outcome: "found" | "nobody";
  photos: FoundPhoto[];
  complete: boolean;
}

export interface Removal {
  search_id: Uuid;
  removal_requested_at: Time;
}

export type Callback = PhotoOutcome | PhotoFailure | EventOutcome | EventFailure;

export type Message = ProgressMessage | PeopleMessage | PhotoFailedMessage;

export type Uuid = string;

/** What memoria_undo takes; null where nothing changed. */
export type ChangeId = number | null;

export type Count = number;

/** An id of the app's own. */
export type Id = string;

export type AfterChange = number;

/** By a run where job_id is set, else by a user. */
export interface Change {
  change_id: number;
  kind: string;
  person_id: Uuid | null;
  other_person_id: Uuid | null;
  /** Who was merged. */
  people: Uuid[];
  /** How many. */
  faces: number | null;
  face_ids: Uuid[];
  name: string | null;
  name_before: string | null;
  /** The user; null for the app's backend and for runs. */
  by: Uuid | null;
  job_id: Uuid | null;
  created_at: Time;
  undoes: number | null;
  undone_by: number | null;
  can_undo: boolean;
}

/** Are these two one person? into is whom a merge would keep. */
export interface SamePerson {
  id: Uuid;
  kind: "same_person";
  likelihood: Fraction;
  into: Person;
  from: Person;
  photos_together: Count;
  evidence: Shown[];
}

/** Whose is this face of nobody's? */
export interface WhoIsThis {
  id: Uuid;
  kind: "who_is_this";
  likelihood: Fraction;
  face: Cover;
  candidates: Candidate[];
}

/** Fractions of the upright photo: (x, y) is the top left corner. */
export interface Box {
  x: Fraction;
  y: Fraction;
  w: Fraction;
  h: Fraction;
}

export type EventState = "open" | "archived";

export type MemberRole = "host" | "cohost" | "contributor" | "viewer";

export interface AfterMember {
  added_at: Time;
  user_id: Uuid;
}

export interface Member {
  user_id: Uuid;
  role: MemberRole;
  added_by: Uuid | null;
  added_at: Time;
}

/** A moment, ISO 8601 with an offset. */
export type Time = string;

/** Changes with what a page shows. */
export type Version = number;

/** How an event's photos stand; waiting ones are pending too: something outside holds them up. */
export interface Counts {
  total: Count;
  pending: Count;
  completed: Count;
  failed: Count;
  waiting: Count;
}

/** code is for programs, message one sentence for people. */
export interface Reason {
  code: string;
  message: string;
}

export interface FailedPhoto {
  media_id: Id;
  code: string;
  message: string;
}

/** Something outside keeps it from being looked at: it is tried again. */
export interface WaitingPhoto {
  media_id: Id;
  code: string | null;
  message: string | null;
  since: Time;
}

/** A row of a followed table. */
export interface NotHandedOver {
  media_id: string;
  code: string;
  message: string;
  at: Time;
}

/** The job's; of a photo without one, the photo's. */
export type HandOverState = "queued" | "dispatched" | "running" | "pending" | "completed" | "failed" | "cancelled";

export interface NewPhoto {
  media_id: Id;
  bucket: string;
  path: string;
  preview_path?: string | null;
}

export interface HandedOver {
  media_id: Id;
  job_id: Uuid | null;
  status: HandOverState;
}

export interface RefusedPhoto {
  media_id: string | null;
  error: Reason;
}

export interface AfterPerson {
  face_count: Count;
  person_id: Uuid;
}

export interface Person {
  person_id: Uuid;
  name: string | null;
  hidden: boolean;
  /** A statue, a poster: hidden, and never asked about. */
  nobody: boolean;
  face_count: Count;
  cluster_label: number | null;
  avg_quality: Fraction | null;
  representative_face_id: Uuid | null;
  cover: Cover | null;
  created_at: Time;
}

export type AfterPhoto = number;

export interface Photo {
  media_id: Id;
  bucket: string;
  path: string;
  preview_path: string | null;
  status: PhotoState;
  width: number | null;
  height: number | null;
  model: string | null;
  created_at: Time;
  error: Reason | null;
  faces: Face[];
}

export interface PersonInPhoto {
  person_id: Uuid;
  name: string | null;
  hidden: boolean;
  face_count: Count;
}

export type PhotoState = "pending" | "completed" | "failed";

export interface AfterFace {
  number: number;
  face_id: Uuid;
}

export type UnassignedFace = Cover & {
  quality_score: Fraction;
};

export interface LinkOptions {
  expires_in_hours?: number | null;
  max_searches?: number | null;
  per_guest?: number | null;
  people_per_guest?: number | null;
  maybe?: boolean;
  label?: string | null;
}

/** Told once, kept nowhere. */
export type Token = string;

export interface AfterLink {
  created_at: Time;
  link_id: Uuid;
}

export interface SearchLink {
  link_id: Uuid;
  label: string | null;
  created_at: Time;
  expires_at: Time;
  revoked_at: Time | null;
  max_searches: Count;
  per_guest: Count;
  people_per_guest: Count;
  maybe: boolean;
  searches: Count;
}

export interface AuditedSearch {
  search_id: Uuid;
  link_id: Uuid | null;
  guest: string | null;
  created_at: Time;
  consent: string;
  outcome: string;
  people: Uuid[];
  loose_faces: Count;
  removal_requested_at: Time | null;
  /** Of a guest who asks to be taken out: the loose faces. */
  take_out: FaceToTakeOut[];
}

export type Fraction = number;

export interface Match {
  match: string;
  /** Told to the backend alone. */
  person_id?: Uuid;
  /** Told to the backend alone: of somebody who is in no group. */
  face_id?: Uuid;
  confidence: Fraction;
  band: "sure" | "maybe";
  photos: FoundPhoto[];
}

export interface Searched {
  people: Count;
  loose_faces: Count;
  of_another_model: Count;
}

export interface FoundPhoto {
  media_id: Id;
  bbox: Box;
  width: number | null;
  height: number | null;
  /** maybe: its face is unlike the person's others. */
  band: "sure" | "maybe";
  url: string | null;
}

/** One photo was looked at. */
export interface PhotoOutcome {
  job_id: Uuid;
  event_id: Id;
  media_id: Id;
  status: "completed";
  faces_detected: Count;
  faces: ToldFace[];
  model: string;
  processing_time_seconds: Seconds | null;
  /** How the event's photos stood a moment ago. */
  photos: Counts;
}

/** One photo cannot be looked at. */
export interface PhotoFailure {
  job_id: Uuid;
  event_id: Id;
  media_id: Id;
  status: "failed";
  faces_detected: 0;
  faces: unknown[];
  error: Reason;
  /** How the event's photos stood a moment ago. */
  photos: Counts;
}

/** The faces of an event were grouped into people. */
export interface EventOutcome {
  job_id: Uuid;
  event_id: Id;
  status: "completed";
  total_faces: Count;
  clusters_created: Count;
  noise_faces: Count;
  clusters: Cluster[];
  /** Photos under way. */
  pending: Count;
  /** Every photo that is done is grouped. */
  complete: boolean;
  processing_time_seconds: Seconds | null;
  /** How the event's photos stood a moment ago. */
  photos: Counts;
}

/** The faces of an event could not be grouped. */
export interface EventFailure {
  job_id: Uuid;
  event_id: Id;
  status: "failed";
  total_faces: 0;
  clusters_created: 0;
  noise_faces: 0;
  clusters: unknown[];
  error: Reason;
  /** How the event's photos stood a moment ago. */
  photos: Counts;
}

/** At most one a second and event; the last one, when nothing is pending any more, always. */
export interface ProgressMessage {
  event: "progress";
  payload: {
    photos: Counts;
    /** Realtime's own, of the message. */
    id?: Uuid;
  };
}

/** The faces were grouped: read the people again. */
export interface PeopleMessage {
  event: "people";
  payload: {
    people: Count;
    faces: Count;
    /** Every photo that is done is grouped. */
    complete: boolean;
    photos: Counts;
    clustered_at: Time;
    version: Version;
    /** Realtime's own, of the message. */
    id?: Uuid;
  };
}

/** A photo cannot be looked at. */
export interface PhotoFailedMessage {
  event: "photo_failed";
  payload: {
    media_id: Id;
    code: string;
    message: string;
    /** Realtime's own, of the message. */
    id?: Uuid;
  };
}

/** Two faces to look at: face_id is of into, other_face_id of from. */
export interface Shown {
  face_id: Uuid;
  media_id: Id;
  bbox: Box;
  other_face_id: Uuid;
  other_media_id: Id;
  other_bbox: Box;
  similarity: number;
}

export interface Cover {
  face_id: Uuid;
  media_id: Id;
  bucket: string;
  path: string;
  preview_path: string | null;
  bbox: Box;
  width: number | null;
  height: number | null;
}

export interface Candidate {
  person_id: Uuid;
  name: string | null;
  likelihood: Fraction;
}

/** A face in a photo, and whose it is. */
export interface Face {
  face_id: Uuid;
  bbox: Box;
  /** null of a drawn face in which no model finds them */
  landmarks: Landmarks | null;
  quality_score: Fraction;
  person_id: Uuid | null;
  pinned: boolean;
}

export type FaceToTakeOut = Cover & {
  /** Whose it has become since. */
  person_id: Uuid | null;
};

export interface ToldFace {
  bbox: Box;
  quality_score: Fraction;
  landmarks: Landmarks;
}

export type Seconds = number;

export interface Cluster {
  cluster_label: number | null;
  person_id: Uuid;
  face_count: Count;
  representative_face_id: Uuid;
  avg_quality: Fraction;
}

export interface Landmarks {
  left_eye: Point;
  right_eye: Point;
  nose: Point;
  mouth_left: Point;
  mouth_right: Point;
}

/** Fractions of the upright photo. */
export interface Point {
  x: number;
  y: number;
}
