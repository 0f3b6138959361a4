/**
 * Yours to edit: what your app does when a photo or an event is done.
 *
 * As it stands, whoever listens on the private Realtime channel `memoria:<event_id>` is told, and
 * then reads `memoria_media` or `memoria_people` under their own rights. Throw, and the same
 * outcome is delivered again later.
 */

import { isPhoto, type Outcome } from "./outcome.ts";

/** Called once per delivery id (as far as one isolate remembers; see deliveries.ts). */
export async function onOutcome(outcome: Outcome, deliveryId: string): Promise<void> {
  const { job_id, event_id, status, error } = outcome;
  const told = { delivery_id: deliveryId, job_id, event_id, status, error_code: error?.code };
  if (isPhoto(outcome)) {
    const { media_id, faces_detected } = outcome;
    await broadcast(event_id, "photo", { ...told, media_id, faces_detected });
  } else {
    const { clusters_created: people, pending, complete } = outcome;
    await broadcast(event_id, "people", { ...told, people, pending, complete });
  }
}

async function broadcast(eventId: string, event: string, payload: object): Promise<void> {
  const message = { topic: `memoria:${eventId}`, event, payload, private: true };
  const answer = await fetch(`${Deno.env.get("SUPABASE_URL")}/realtime/v1/api/broadcast`, {
    method: "POST",
    headers: { "Content-Type": "application/json", apikey: secretKey() },
    body: JSON.stringify({ messages: [message] }),
    signal: AbortSignal.timeout(5000),
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`Realtime answered ${answer.status}`);
}

/** Supabase gives every Edge Function its project's keys: the newer kind, the legacy one, or both. */
function secretKey(): string {
  const keys = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") ?? "{}");
  return keys.default ?? Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") ?? "";
}
