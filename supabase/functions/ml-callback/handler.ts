/**
 * Yours to edit: what your app does when a photo or an event is done. As it stands, it logs that.
 *
 * Nothing needs to be sent to browsers from here: the database tells whoever follows the event. Throw,
 * and the same outcome is delivered again later.
 */

import { isPhoto, type Outcome } from "./outcome.ts";

/** Called once per delivery id (as far as one isolate remembers; see deliveries.ts). */
export function onOutcome(outcome: Outcome, deliveryId: string): Promise<void> {
  const what = isPhoto(outcome)
    ? `photo ${outcome.media_id}: ${outcome.faces_detected} faces`
    : `event ${outcome.event_id}: ${outcome.clusters_created} people`;
  console.log(`delivery ${deliveryId}, ${outcome.status}: ${what}`);
  return Promise.resolve();
}
