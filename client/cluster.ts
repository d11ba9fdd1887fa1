/**
 * The cluster behind a client: which nodes there are and how far they are, and changes of that. Over HTTP, also where the rest
 * goes over a WebSocket: this is for operators, and seldom. Any node takes a change; it is done when the call resolves, and may
 * be asked for again, for what is done already is not done twice. So it is, by itself, where leadership changed meanwhile.
 */
import type { Addresses } from "./addresses.ts";
import { Backoff } from "./backoff.ts";
import { type CallOptions, sleep } from "./deadline.ts";
import type { Environment } from "./environment.ts";
import { after, TidemarkError, type TidemarkErrorCode } from "./error.ts";
import { askForToken, connectionError, refusal, type TokenSource } from "./transport/http-exchange.ts";

export type ClusterMember = {
  readonly node: string;
  /** `joining`: it is to vote, and does so once it has caught up. `leaving`: until the change ends. */
  readonly role: "voter" | "learner" | "joining" | "leaving";
  readonly leads: boolean;
  /** Where it listens for the other nodes; not told by a node that is alone. */
  readonly host?: string;
  readonly port?: number;
  /** Of all but the leader, as it says: entries that they are not known to have, and milliseconds since they were heard. */
  readonly lag?: number;
  readonly silentMs?: number;
  /** On its way to it, as the leader says: bytes in all, and those that it has. */
  readonly snapshot?: { readonly bytes: number; readonly sentBytes: number };
  /** It is not to lead: drained, or its clock is off. Told by the leader of all, by others of themselves. */
  readonly standsBack?: boolean;
  /** Its clock is ahead of that of the node that was asked by so much. */
  readonly clockAheadMs?: number;
  /** The newest feature level that it knows; absent where it does not answer. */
  readonly supports?: number;
};

export type ClusterStatus = {
  readonly cluster: string;
  /** Whose view this is. */
  readonly node: string;
  /** Absent while none is known. */
  readonly leader?: string;
  readonly term: number;
  readonly committed: number;
  readonly applied: number;
  /** Why the node that was asked is not to lead; empty: it may. */
  readonly standsBack: readonly ("drained" | "clock" | "disk")[];
  /** What all nodes apply alike: see `upgrade`. */
  readonly featureLevel: number;
  /** A change of who votes is under way. */
  readonly changing: boolean;
  readonly members: readonly ClusterMember[];
};

export type PeerAddress = { readonly host: string; readonly port: number };

export type ClusterParts = {
  readonly addresses: Addresses;
  readonly token: TokenSource | undefined;
  readonly fetch: typeof fetch;
  readonly environment: Environment;
  readonly timeoutMs: number;
};

const CLUSTER_PATH = "v1/cluster";
/** For a moment nobody leads, or no more who was asked. */
const LEADERLESS: ReadonlySet<TidemarkErrorCode> = new Set<TidemarkErrorCode>(["not-leader", "unavailable"]);

export class Cluster {
  readonly #parts: ClusterParts;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
  }

  /** As the node sees it that is asked; how far the others are it has from the leader, if that answers. */
  async status(options: CallOptions = {}): Promise<ClusterStatus> {
    const answer = await this.#ask("GET", "", undefined, options);
    return (await answer.json()) as ClusterStatus;
  }

  /**
   * Makes a node a member: it is started with an empty folder, before or after. It gets a vote once it has caught up, unless
   * `votes` is false. Of a member it changes the address.
   */
  async add(
    node: string,
    address: PeerAddress,
    options: CallOptions & { readonly votes?: boolean } = {},
  ): Promise<void> {
    const { votes = true } = options;
    await this.#ask("POST", "/members", { node, ...address, votes }, options);
  }

  /** The leader cannot be removed: `cluster-conflict`. */
  async remove(node: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("DELETE", `/members/${encodeURIComponent(node)}`, undefined, options);
  }

  /** Lets a node that lost its data begin anew under its name, with an empty folder. While it answers: `member-alive`. */
  async replace(node: string, options: CallOptions & { readonly address?: PeerAddress } = {}): Promise<void> {
    await this.#ask("POST", `/members/${encodeURIComponent(node)}/replace`, { ...options.address }, options);
  }

  /** Hands leadership to this node, or to whoever has most of the log. */
  async transfer(to?: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("POST", "/transfer", { ...(to !== undefined && { to }) }, options);
  }

  /**
   * Before maintenance: leadership moves off this node, and stays off while another node can lead, until `undo` or its restart. Its
   * `/readyz` says that requests are better sent elsewhere; those that come it serves.
   */
  async drain(node: string, options: CallOptions & { readonly undo?: boolean } = {}): Promise<void> {
    const method = options.undo === true ? "DELETE" : "POST";
    await this.#ask(method, `/members/${encodeURIComponent(node)}/drain`, undefined, options);
  }

  /**
   * Once all nodes run a newer version: lets them use what only it knows. There is no way back, and nodes of an older version are
   * refused from then on.
   */
  async upgrade(options: CallOptions = {}): Promise<void> {
    await this.#ask("POST", "/upgrade", undefined, options);
  }

  async #ask(method: string, path: string, body: object | undefined, options: CallOptions): Promise<Response> {
    const { environment, timeoutMs } = this.#parts;
    const { timeout = timeoutMs } = options;
    const late = new AbortController();
    const timer = Number.isFinite(timeout)
      ? environment.clock.schedule(timeout, () =>
          late.abort(new TidemarkError("timeout", `not finished within ${timeout} ms`)),
        )
      : undefined;
    const signal = options.signal === undefined ? late.signal : AbortSignal.any([late.signal, options.signal]);
    try {
      return await this.#askUntilLed(method, path, body, signal);
    } finally {
      timer?.cancel();
    }
  }

  async #askUntilLed(method: string, path: string, body: object | undefined, signal: AbortSignal): Promise<Response> {
    const { addresses, environment } = this.#parts;
    const backoff = new Backoff(environment.entropy);
    let last: TidemarkError | undefined;
    for (;;) {
      try {
        return await addresses.tryEach((url) => this.#askAt(url, method, path, body, signal), signal);
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError)) throw thrown;
        if (!LEADERLESS.has(thrown.code)) throw after(thrown, last);
        last = thrown;
      }
      await sleep(environment.clock, backoff.next(last.retryAfterMs), signal).catch((thrown: TidemarkError) => {
        throw after(thrown, last);
      });
    }
  }

  async #askAt(
    url: URL,
    method: string,
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    const { token, fetch } = this.#parts;
    const value = token === undefined || typeof token === "string" ? token : await askForToken(token, signal);
    const headers = {
      ...(value !== undefined && { authorization: `Bearer ${value}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    };
    const base = url.href.replace(/^ws/, "http");
    const target = new URL(CLUSTER_PATH, base.endsWith("/") ? base : `${base}/`).href + path;
    let answer: Response;
    try {
      const init: RequestInit = { method, headers, signal, redirect: "error" };
      answer = await fetch(target, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    } catch (thrown) {
      if (!signal.aborted) throw connectionError(thrown, url);
      const { reason } = signal;
      throw reason instanceof TidemarkError ? reason : new TidemarkError("aborted", undefined, { cause: reason });
    }
    if (!answer.ok) throw await refusal(answer);
    return answer;
  }
}
