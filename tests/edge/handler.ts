// A handler as an app may write one: it hands on every outcome to the app, and throws where that fails.
import type { Outcome } from "../../supabase/functions/ml-callback/outcome.ts";

export async function onOutcome(outcome: Outcome, deliveryId: string): Promise<void> {
  const answer = await fetch(Deno.env.get("APP_URL")!, {
    method: "POST",
    body: JSON.stringify({ ...outcome, delivery_id: deliveryId }),
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new Error(`the app answered ${answer.status}`);
}
