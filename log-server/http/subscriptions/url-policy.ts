/**
 * Where webhooks may go (section 12.8). A subscriber must not be able to use this server to reach what only this server
 * reaches: private, link-local and metadata addresses are refused, by literal when the subscription is made and by
 * what names resolve to, then and at each connection. Loopback is allowed only to a server that itself listens only
 * there, and only there is plain HTTP.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { err, ok, type Result } from "../../../src/lib/result.ts";

export type WebhookPolicy = { readonly allowLoopback: boolean };
export type Address = { readonly address: string; readonly family: 4 | 6 };
/** The first addresses a name has, or none where it has none now. */
export type Resolve = (hostname: string) => Promise<readonly Address[]>;

const LOOPBACK = blockList([["127.0.0.0", 8]], [["::1", 128]]);

/** Not on the public internet (IANA's special-purpose registries). */
const SPECIAL_V4 = blockList(
  [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.88.99.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
    ["224.0.0.0", 4],
    ["240.0.0.0", 4],
  ],
  [],
);
/** Of IPv6 only global unicast is public, and of that not what leads elsewhere: tunnels, documentation. */
const GLOBAL_V6 = blockList([], [["2000::", 3]]);
const SPECIAL_V6 = blockList(
  [],
  [
    ["2001::", 23],
    ["2001:db8::", 32],
    ["2002::", 16],
    ["3fff::", 20],
  ],
);

/** Whether the URL, as written, may be a webhook's. */
export function checkWebhookUrl(text: string, policy: WebhookPolicy): Result<URL, string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return err("it is not a URL");
  if (url.username !== "" || url.password !== "") return err("it carries a user name or password");
  const loopback = isLoopbackName(url.hostname);
  if (loopback && !policy.allowLoopback) return err("loopback addresses are not allowed here");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback)) return err("it must begin with https://");
  const literal = literalAddress(url.hostname);
  if (literal !== undefined && !isAllowedAddress(literal, policy))
    return err(`${literal.address} is not a public address`);
  return ok(url);
}

/** The address to connect to: one that the URL's host has, if all that it has are allowed. */
export async function resolveWebhook(
  url: URL,
  policy: WebhookPolicy,
  resolve: Resolve = resolveByDns,
): Promise<Result<Address, string>> {
  const literal = literalAddress(url.hostname);
  const addresses = literal === undefined ? await resolve(url.hostname) : [literal];
  const forbidden = addresses.find((address) => !isAllowedAddress(address, policy));
  if (forbidden !== undefined) return err(`${url.hostname} is at ${forbidden.address}, which is not a public address`);
  const [first] = addresses;
  return first === undefined ? err(`${url.hostname} has no address`) : ok(first);
}

export function isAllowedAddress({ address, family }: Address, policy: WebhookPolicy): boolean {
  const type = family === 4 ? "ipv4" : "ipv6";
  if (LOOPBACK.check(address, type)) return policy.allowLoopback;
  if (family === 4) return !SPECIAL_V4.check(address, type);
  return GLOBAL_V6.check(address, type) && !SPECIAL_V6.check(address, type);
}

async function resolveByDns(hostname: string): Promise<readonly Address[]> {
  try {
    const found = await lookup(hostname, { all: true, verbatim: true });
    return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
  } catch {
    return [];
  }
}

function isLoopbackName(hostname: string): boolean {
  if (hostname === "localhost" || hostname.endsWith(".localhost")) return true;
  const literal = literalAddress(hostname);
  return literal !== undefined && LOOPBACK.check(literal.address, literal.family === 4 ? "ipv4" : "ipv6");
}

function literalAddress(hostname: string): Address | undefined {
  const address = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const family = isIP(address);
  return family === 0 ? undefined : { address, family: family === 6 ? 6 : 4 };
}

function blockList(v4: readonly (readonly [string, number])[], v6: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of v4) list.addSubnet(network, prefix, "ipv4");
  for (const [network, prefix] of v6) list.addSubnet(network, prefix, "ipv6");
  return list;
}
