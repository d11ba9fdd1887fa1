/**
 * Signs webhooks (section 7.1) with Ed25519, so that receivers need no shared secret, and publishes the public keys as
 * a JSON Web Key Set (section 6.5). The private key comes from configuration, never from the log.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A public key as the key set shows it. */
export type PublicJwk = {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
  readonly kid: string;
  readonly use: "sig";
  readonly alg: "EdDSA";
};

export type SigningKey = { readonly jwk: PublicJwk; readonly privateKey: KeyObject };

/** A new private key, in PEM (PKCS #8). */
export function generateSigningKeyPem(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** Throws where the text is not an Ed25519 private key. */
export function parseSigningKey(pem: string): SigningKey {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== "ed25519") throw new TypeError("the webhook signing key must be an Ed25519 key");
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  if (x === undefined) throw new TypeError("the webhook signing key has no public part");
  return { jwk: { kty: "OKP", crv: "Ed25519", x, kid: keyId(x), use: "sig", alg: "EdDSA" }, privateKey };
}

/** The `Webhook-Signature` header for a body that is sent now. */
export function webhookSignature(key: SigningKey, nowMs: number, body: Uint8Array): string {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signature = sign(null, Buffer.concat([Buffer.from(`${timestamp}.`), body]), key.privateKey);
  return `t=${timestamp},kid=${key.jwk.kid},ed25519=${signature.toString("base64url")}`;
}

/** From the key itself: its JWK thumbprint (RFC 7638). */
function keyId(x: string): string {
  const thumbprint = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url");
  return `ds_${thumbprint}`;
}
