/** One request in, one answer out: verify, parse, hand over, acknowledge. */

import { Deliveries } from "./deliveries.ts";
import { InvalidOutcome, type Outcome, parseOutcome } from "./outcome.ts";
import { hasBearer, hasSignature } from "./signature.ts";

const MAX_BODY_BYTES = 16 << 20; // the people of a very large event: some 200 bytes each

export type OnOutcome = (outcome: Outcome, deliveryId: string) => Promise<void>;

/** A receiver of callbacks that were signed with one of the secrets. */
export function receiver(secrets: string[], onOutcome: OnOutcome) {
  const deliveries = new Deliveries();

  return async (request: Request): Promise<Response> => {
    if (request.method !== "POST") return refusal(405, "method_not_allowed", "use POST here");
    // a wrong bearer costs us no body; the signature is what binds the body, its id and its time
    if (!await hasBearer(request.headers, secrets)) return unauthorized();
    const body = await readBody(request);
    if (!body) return refusal(413, "body_too_large", `the body is over ${MAX_BODY_BYTES} bytes`);
    if (!await hasSignature(request.headers, body, secrets)) return unauthorized();
    const id = request.headers.get("webhook-id")!;
    try {
      const outcome = parseOutcome(body);
      await deliveries.once(id, () => onOutcome(outcome, id));
    } catch (error) {
      if (error instanceof InvalidOutcome) return refusal(400, "invalid_request", error.message);
      console.error(`delivery ${id} failed:`, error);
      return refusal(503, "temporarily_unavailable", "the outcome could not be handled now");
    }
    return Response.json({ received: id });
  };
}

async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  if (Number(request.headers.get("content-length")) > MAX_BODY_BYTES) return null;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    if ((bytes += chunk.length) > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function unauthorized(): Response {
  return refusal(401, "unauthorized", "a valid secret and signature are required");
}

function refusal(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
