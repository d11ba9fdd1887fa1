/**
 * What webhooks and their callbacks are signed with. From configuration, so that all nodes of a cluster know each other's
 * signatures; or, of a node alone that was not told any, its own, in files that only its user may read: made at the
 * first start, kept for ever after. Whoever replaces a key leaves the old one beside it for as long as others may still
 * see its signatures.
 */
import { hkdfSync } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../../src/lib/assert.ts";
import { generateSigningKeyPem, parseSigningKey, type PublicJwk, type SigningKey } from "./signing.ts";
import { generateTokenSecret, parseTokenSecret, TOKEN_SECRET_BYTES } from "./tokens.ts";

export type Secrets = {
  readonly signingKey: SigningKey;
  /** Keys no longer used for signing, still published. */
  readonly retiredKeys: readonly PublicJwk[];
  /** The first is for new tokens; those of all are taken. */
  readonly tokenSecrets: readonly [Uint8Array, ...Uint8Array[]];
};

const SIGNING_KEY_FILE = "webhook-signing-key.pem";
const RETIRED_KEY_FILE = "webhook-signing-key.retired.pem";
const TOKEN_SECRET_FILE = "wake-token-secret";
const BETWEEN_KEYS = /\s+(?=-----BEGIN)/;
/** So that a key's signatures and its tokens have nothing in common. */
const TOKEN_PURPOSE = "tidemark wake tokens";
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;

/** Secrets that live as long as the process. */
export function temporarySecrets(): Secrets {
  return {
    signingKey: parseSigningKey(generateSigningKeyPem()),
    retiredKeys: [],
    tokenSecrets: [generateTokenSecret()],
  };
}

/** From private keys, PEM, one behind the other: the first signs, and what the others have signed is still known. */
export function secretsOfKeys(pems: string): Secrets {
  const [signingKey, ...retired] = pems.split(BETWEEN_KEYS).map(parseSigningKey);
  assert(signingKey !== undefined, "a text has a first part");
  return {
    signingKey,
    retiredKeys: retired.map(({ jwk }) => jwk),
    tokenSecrets: [tokenSecretOf(signingKey), ...retired.map(tokenSecretOf)],
  };
}

function tokenSecretOf({ privateKey }: SigningKey): Uint8Array {
  const key = privateKey.export({ type: "pkcs8", format: "der" });
  return new Uint8Array(hkdfSync("sha256", key, "", TOKEN_PURPOSE, TOKEN_SECRET_BYTES));
}

/** Those in `directory`, made where they are missing. */
export async function loadSecrets(directory: string): Promise<Secrets> {
  await mkdir(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  const pem =
    (await read(directory, SIGNING_KEY_FILE)) ?? (await create(directory, SIGNING_KEY_FILE, generateSigningKeyPem()));
  const retired = await read(directory, RETIRED_KEY_FILE);
  const secret =
    (await read(directory, TOKEN_SECRET_FILE)) ??
    (await create(directory, TOKEN_SECRET_FILE, Buffer.from(generateTokenSecret()).toString("base64url")));
  return {
    signingKey: parse(directory, SIGNING_KEY_FILE, pem, parseSigningKey),
    retiredKeys: retired === undefined ? [] : [parse(directory, RETIRED_KEY_FILE, retired, parseSigningKey).jwk],
    tokenSecrets: [parse(directory, TOKEN_SECRET_FILE, secret.trim(), parseTokenSecret)],
  };
}

/** A damaged one is not replaced by itself: receivers would no longer know whose webhooks they get. */
function parse<T>(directory: string, name: string, text: string, parseText: (text: string) => T): T {
  try {
    return parseText(text);
  } catch (cause) {
    throw new Error(`${join(directory, name)} is damaged: restore it, or remove it to have a new one made`, { cause });
  }
}

async function read(directory: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, name), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all, whenever the machine stops. */
async function create(directory: string, name: string, text: string): Promise<string> {
  const temporary = join(directory, `${name}.new`);
  const file = await open(temporary, "w", OWNER_ONLY_FILE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, name));
  const folder = await open(directory, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
  return text;
}
