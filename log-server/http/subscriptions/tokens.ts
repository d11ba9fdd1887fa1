/**
 * Tokens for one wake of one subscription: they let their bearer acknowledge, extend and release it, and nothing else
 * (section 12.9). JSON Web Tokens (HS256), so they need no storage; whether their wake is still current is decided when
 * the command is applied.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export type WakeToken = { readonly subscription: string; readonly generation: number };
export type TokenCheck =
  | { readonly kind: "valid"; readonly token: WakeToken }
  | { readonly kind: "invalid" }
  | { readonly kind: "expired" };

/** Leases are extended for as long as work goes on; a token outlives all but absurd ones. */
const LIFETIME_SECONDS = 7 * 24 * 60 * 60;
export const TOKEN_SECRET_BYTES = 32;
const TOKEN_LENGTH_MAX = 4_096;
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");

export function generateTokenSecret(): Uint8Array {
  return randomBytes(TOKEN_SECRET_BYTES);
}

/** Throws if it is not one that `generateTokenSecret` made: a shorter one could be guessed. */
export function parseTokenSecret(text: string): Uint8Array {
  const secret = Buffer.from(text, "base64url");
  if (secret.length !== TOKEN_SECRET_BYTES)
    throw new Error(`a token secret has ${TOKEN_SECRET_BYTES} bytes, not ${secret.length}`);
  return secret;
}

export function issueToken(secret: Uint8Array, token: WakeToken, nowMs: number): string {
  const claims = { sub: token.subscription, gen: token.generation, exp: Math.floor(nowMs / 1_000) + LIFETIME_SECONDS };
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `${HEADER}.${payload}.${mac(secret, payload).toString("base64url")}`;
}

/** `secrets`: it may have been made with any of them. */
export function checkToken(secrets: readonly Uint8Array[], text: string, nowMs: number): TokenCheck {
  const [header, payload, signature, ...rest] = text.length > TOKEN_LENGTH_MAX ? [] : text.split(".");
  if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0)
    return { kind: "invalid" };
  const given = Buffer.from(signature, "base64url");
  const known = secrets.some((secret) => {
    const expected = mac(secret, payload);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!known) return { kind: "invalid" };
  // Signed by us, so it has the form that we gave it.
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as {
    readonly sub: string;
    readonly gen: number;
    readonly exp: number;
  };
  if (claims.exp * 1_000 <= nowMs) return { kind: "expired" };
  return { kind: "valid", token: { subscription: claims.sub, generation: claims.gen } };
}

function mac(secret: Uint8Array, payload: string): Buffer {
  return createHmac("sha256", secret).update(`${HEADER}.${payload}`).digest();
}
