/** What Memoria tells of a job that ended. The shapes of docs/http.md, without embeddings. */

/** Fractions of the upright photo: (x, y) is the top left corner. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** How the event's photos stood a moment ago. */
export interface Counts {
  total: number;
  pending: number;
  completed: number;
  failed: number;
  waiting: number; // of the pending: what something outside holds up
}

export interface DetectedFace {
  bbox: Box;
  quality_score: number;
}

/** One photo was looked at. */
export interface PhotoOutcome {
  job_id: string;
  event_id: string;
  media_id: string;
  status: "completed" | "failed";
  faces_detected: number;
  faces: DetectedFace[];
  photos: Counts;
  model?: string; // the pack, of a completed photo
  error?: { code: string; message: string };
}

export interface Cluster {
  cluster_label: number;
  person_id: string;
  face_count: number;
  representative_face_id: string;
  avg_quality: number;
}

/** The faces of an event were grouped into people. */
export interface EventOutcome {
  job_id: string;
  event_id: string;
  status: "completed" | "failed";
  total_faces: number;
  clusters_created: number;
  noise_faces: number;
  clusters: Cluster[];
  pending?: number; // of a completed run: photos of the event that are still under way
  complete?: boolean; // likewise: every photo that is done is among these people
  photos: Counts;
  error?: { code: string; message: string };
}

export type Outcome = PhotoOutcome | EventOutcome;

export function isPhoto(outcome: Outcome): outcome is PhotoOutcome {
  return "media_id" in outcome;
}

/** The first field that is wrong is named by the message. */
export class InvalidOutcome extends Error {}

/** The bytes of a body as an outcome; fields that are not known are kept. Throws InvalidOutcome. */
export function parseOutcome(body: Uint8Array): Outcome {
  const value = parseJson(body);
  for (const name of ["job_id", "event_id", ...("media_id" in value ? ["media_id"] : [])]) {
    demand(name, isId(value[name]), "must be a string of 1 to 200 characters");
  }
  const status = value.status;
  demand("status", status === "completed" || status === "failed", "must be completed or failed");
  const [count, list] = "media_id" in value
    ? ["faces_detected", "faces"]
    : ["clusters_created", "clusters"];
  demand(count, isCount(value[count]), "must be a count");
  demand(list, Array.isArray(value[list]), "must be a list");
  if ("pending" in value) demand("pending", isCount(value.pending), "must be a count");
  if ("complete" in value) {
    demand("complete", typeof value.complete === "boolean", "must be true or false");
  }
  if (status === "failed") demand("error", isError(value.error), "must hold a code and a message");
  return value as unknown as Outcome;
}

function parseJson(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new InvalidOutcome("the body is not valid JSON");
  }
  if (!isObject(value)) throw new InvalidOutcome("the body must be a JSON object");
  return value;
}

function demand(name: string, holds: boolean, message: string): void {
  if (!holds) throw new InvalidOutcome(`${name}: ${message}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0;
}

function isId(value: unknown): boolean {
  // characters, as the database counts them, not UTF-16's halves of them
  return typeof value === "string" && value.length >= 1 && [...value].length <= 200;
}

function isError(value: unknown): boolean {
  return isObject(value) && typeof value.code === "string" && typeof value.message === "string";
}
