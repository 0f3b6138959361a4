/**
 * Standard Webhooks (https://www.standardwebhooks.com), v1: HMAC-SHA-256 over `id.timestamp.body`.
 * The counterpart of shared/memoria/auth.py, on WebCrypto alone.
 */

export const TOLERANCE_SECONDS = 300;

const PREFIX = "whsec_";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const utf8 = new TextEncoder();

/** Whether `Authorization: Bearer` carries one of the secrets. */
export async function hasBearer(headers: Headers, secrets: string[]): Promise<boolean> {
  const [, token] = /^bearer +(.+)$/i.exec(headers.get("authorization") ?? "") ?? [];
  if (!token) return false;
  const compared = secrets.map((secret) => equal(utf8.encode(token), utf8.encode(secret)));
  return (await Promise.all(compared)).includes(true);
}

/** Whether the body, its id and its time were signed with one of the secrets, minutes ago at most. */
export async function hasSignature(
  headers: Headers,
  body: Uint8Array<ArrayBuffer>,
  secrets: string[],
): Promise<boolean> {
  const id = headers.get("webhook-id") ?? "";
  const timestamp = headers.get("webhook-timestamp") ?? "";
  if (!id || !isFresh(timestamp)) return false;
  const head = utf8.encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array([...head, ...body]);
  const presented = signatures(headers.get("webhook-signature") ?? "");
  const keys = await Promise.all(secrets.map(importKey));
  const verified = keys.flatMap((key) =>
    presented.map((signature) => crypto.subtle.verify("HMAC", key, signature, signed))
  );
  return (await Promise.all(verified)).includes(true);
}

function isFresh(timestamp: string): boolean {
  if (!/^\d{1,12}$/.test(timestamp)) return false;
  return Math.abs(Date.now() / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS;
}

function signatures(header: string): Uint8Array<ArrayBuffer>[] {
  return header.split(" ").slice(0, 10)
    .filter((part) => part.startsWith("v1,") && BASE64.test(part.slice(3)))
    .map((part) => decode(part.slice(3)));
}

/** `whsec_…` secrets are base64, as the standard has it; any other is taken as it is. */
function importKey(secret: string): Promise<CryptoKey> {
  const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : "";
  const key = encoded && BASE64.test(encoded) ? decode(encoded) : utf8.encode(secret);
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Constant time: digests are compared, to the last byte, so neither length nor prefix shows. */
async function equal(
  one: Uint8Array<ArrayBuffer>,
  other: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const digests = [one, other].map((bytes) => crypto.subtle.digest("SHA-256", bytes));
  const [a, b] = (await Promise.all(digests)).map((digest) => new Uint8Array(digest));
  return a.reduce((difference, byte, at) => difference | (byte ^ b[at]), 0) === 0;
}
