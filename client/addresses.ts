/**
 * Where a cluster's nodes are reached. Any of them will do: one is asked until it cannot be reached, then the next, and so
 * on around. Whoever finds one gone says so; who asks next, whatever it is about, goes to the other.
 */
import { assert } from "../src/lib/assert.ts";
import { TidemarkError, type TidemarkErrorCode } from "./error.ts";

export class Addresses {
  readonly #urls: readonly URL[];
  #at = 0;

  constructor(urls: readonly URL[]) {
    assert(urls.length > 0, "a client has an address");
    this.#urls = urls;
  }

  get count(): number {
    return this.#urls.length;
  }

  get current(): URL {
    return this.#urls[this.#at] as URL;
  }

  /** `url` does not serve. Without effect if another is asked already. */
  leave(url: URL): void {
    if (url === this.current) this.#at = (this.#at + 1) % this.#urls.length;
  }

  /** `url` has answered with this: where that says that the node does not serve, another is asked from now on. */
  answered(url: URL, code: TidemarkErrorCode): void {
    if (GONE.has(code)) this.leave(url);
  }

  /**
   * Tries one address after the other, each once, for as long as that is harmless: while the error says that the node
   * cannot be reached, and that nothing was done there. Rejects with the last one's error.
   */
  async tryEach<T>(attempt: (url: URL) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let left = this.count; ; left -= 1) {
      const url = this.current;
      try {
        return await attempt(url);
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError) || !GONE.has(thrown.code) || signal.aborted) throw thrown;
        this.leave(url);
        if (left <= 1 || thrown.outcome !== "not-applied") throw thrown;
      }
    }
  }
}

/** The node, not the request, is why it came to nothing. */
const GONE: ReadonlySet<TidemarkErrorCode> = new Set<TidemarkErrorCode>([
  "connection-failed",
  "connection-lost",
  "unavailable",
  "node-removed",
  "repairing",
]);

/** Throws `invalid-argument` unless all are URLs of one kind, `http` or `ws`. */
export function parseAddresses(given: string | URL | readonly (string | URL)[]): readonly [URL, ...URL[]] {
  const [first, ...others] = (typeof given === "string" || given instanceof URL ? [given] : given).map(parseUrl);
  if (first === undefined) throw new TidemarkError("invalid-argument", "a client needs the URL of a server");
  if (others.some((url) => isHttp(url) !== isHttp(first)))
    throw new TidemarkError("invalid-argument", "all URLs of one cluster begin with http, or all with ws");
  return [first, ...others];
}

export function isHttp({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}

function parseUrl(url: string | URL): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new TidemarkError("invalid-argument", `"${String(url)}" is not a URL`, { cause });
  }
  if (["http:", "https:", "ws:", "wss:"].includes(parsed.protocol)) return parsed;
  throw new TidemarkError(
    "invalid-argument",
    `a server's URL begins with http://, https://, ws:// or wss://, not "${parsed.protocol}//"`,
  );
}
