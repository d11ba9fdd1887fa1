/** How the values of options are written. An error is a phrase that follows the option's name. */
import { createPrivateKey } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { err, ok, type Result } from "../../src/lib/result.ts";

export type HostPort = { readonly host: string; readonly port: number };

const PORT_MAX = 65_535;
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/;

/** `127.0.0.1:4437`, `[::1]:4437`, `localhost:0`. */
export function parseHostPort(text: string): Result<HostPort, string> {
  const match = HOST_PORT.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  const bad = host === undefined || port > PORT_MAX || (match?.[1] !== undefined && !isIPv6(host));
  return bad ? err("must be HOST:PORT, such as 127.0.0.1:4437 or [::1]:4437") : ok({ host, port });
}

/** A member of a cluster, and where the others reach it. */
export type PeerAddress = HostPort & { readonly node: string };

const PEERS_MAX = 64;

/** `n1=10.0.0.1:4438,n2=10.0.0.2:4438,n3=[::1]:4438`. */
export function parsePeers(text: string): Result<readonly PeerAddress[], string> {
  const peers: PeerAddress[] = [];
  for (const item of text.split(",")) {
    const [name = "", address = ""] = splitOnce(item.trim(), "=");
    const node = parseNodeName(name);
    const at = parseHostPort(address);
    if (!node.ok || !at.ok || at.value.port === 0)
      return err(
        "must be NAME=HOST:PORT of each member, with commas between, such as n1=10.0.0.1:4438,n2=10.0.0.2:4438",
      );
    if (peers.some((peer) => peer.node === name)) return err(`must name each member once, and has ${name} twice`);
    peers.push({ node: name, ...at.value });
  }
  return peers.length > PEERS_MAX ? err(`must name at most ${PEERS_MAX} members`) : ok(peers);
}

export function formatPeers(peers: readonly PeerAddress[]): string {
  return peers.map((peer) => `${peer.node}=${formatHostPort(peer)}`).join(",");
}

export function parseNodeName(text: string): Result<string, string> {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)
    ? ok(text)
    : err('must be 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit');
}

function splitOnce(text: string, at: string): readonly [string, string] | readonly [string] {
  const place = text.indexOf(at);
  return place < 0 ? [text] : [text.slice(0, place), text.slice(place + at.length)];
}

/** As in a URL: IPv6 in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  "KiB": 2 ** 10,
  "MiB": 2 ** 20,
  "GiB": 2 ** 30,
  "TiB": 2 ** 40,
};

/** Bytes, or a multiple: `65536`, `256MiB`. */
export function parseSize(text: string): Result<number, string> {
  const match = /^(\d{1,15})(|KiB|MiB|GiB|TiB)$/.exec(text);
  const size = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] as number);
  return Number.isSafeInteger(size) ? ok(size) : err("must be a number of bytes, or one with KiB, MiB, GiB or TiB");
}

/** The shortest text that `parseSize` reads as this number. */
export function formatSize(size: number): string {
  const [unit = "", factor = 1] = Object.entries(UNITS).findLast(([, each]) => size % each === 0 && size > 0) ?? [];
  return `${size / factor}${unit}`;
}

const SEGMENT_BYTES_MIN = 2 ** 20;
const SEGMENT_BYTES_MAX = 2 ** 30;

export function parseSegmentSize(text: string): Result<number, string> {
  const size = parseSize(text);
  if (!size.ok) return size;
  return size.value < SEGMENT_BYTES_MIN || size.value > SEGMENT_BYTES_MAX ? err("must be from 1MiB to 1GiB") : size;
}

/** `https://streams.example.com/base`; a slash at the end is dropped. */
export function parseBaseUrl(text: string): Result<string, string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "" && url.username === "";
  return plain
    ? ok(url.href.replace(/\/$/, ""))
    : err("must be an http or https URL without query, such as https://example.com");
}

export function parseBoolean(text: string): Result<boolean, string> {
  if (text === "true" || text === "1") return ok(true);
  if (text === "false" || text === "0") return ok(false);
  return err("must be true or false");
}

/** What RFC 6750 lets into an Authorization header; long enough not to be guessed. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const TOKEN_LENGTH_MIN = 16;
const TOKEN_LENGTH_MAX = 512;

export function parseToken(text: string): Result<string, string> {
  const token = text.trim();
  if (token.length < TOKEN_LENGTH_MIN || token.length > TOKEN_LENGTH_MAX || !TOKEN.test(token)) {
    return err(`must be ${TOKEN_LENGTH_MIN} to ${TOKEN_LENGTH_MAX} letters, digits or any of - . _ ~ + /`);
  }
  return ok(token);
}

const PEM_KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/g;
const SIGNING_KEYS_MAX = 8;

/** Ed25519 private keys, PEM (PKCS #8), one behind the other. */
export function parseSigningKeys(text: string): Result<string, string> {
  const pems = text.match(PEM_KEY) ?? [];
  return pems.length > 0 && pems.length <= SIGNING_KEYS_MAX && pems.every(isSigningKey)
    ? ok(pems.join("\n"))
    : err(
        `must hold 1 to ${SIGNING_KEYS_MAX} Ed25519 private keys, PEM, such as "openssl genpkey -algorithm ed25519" makes`,
      );
}

function isSigningKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === "ed25519";
  } catch {
    return false;
  }
}
