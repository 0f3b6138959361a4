/**
 * Receives what Memoria calls back: set CALLBACK_URL to this function's URL and CALLBACK_SECRET to
 * the same secret here and there. What the app does with an outcome is in handler.ts.
 */

import { onOutcome } from "./handler.ts";
import { receiver } from "./receive.ts";

// two may be valid at once, for rotation
const secrets = ["CALLBACK_SECRET", "CALLBACK_SECRET_PREVIOUS"]
  .map((name) => Deno.env.get(name)?.trim() ?? "")
  .filter((secret) => secret !== "");
if (secrets.length === 0) {
  throw new Error("CALLBACK_SECRET is missing: supabase secrets set CALLBACK_SECRET=…");
}

Deno.serve(receiver(secrets, onOutcome));
