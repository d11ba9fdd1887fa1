/**
 * What all clients of a run share: where the nodes are, what streams there are, when to end, and the journal. Whoever cannot
 * get on at one node goes on at the next, as an application behind a load balancer would. Rates are bounded; what is under
 * test is right and wrong, not speed.
 */
import { type Client, connect, type Consistency, TidemarkError } from "../../client/index.ts";
import type { Outcome } from "./history.ts";
import type { Journal } from "./journal.ts";

/** A call that has not come back after this long is given up: its outcome is not known. */
export const CALL_MS = 10_000;
/** Between two calls of one client. */
export const PAUSE_MS = 20;
/** What each record carries beside its value: segments fill up, and there is something to damage. */
export const PADDING = ` ${"x".repeat(1_000)}`;

/** Two that are appended to in transactions only, and one for clients that read what they wrote, at another node. */
export const PAIR = ["pair-a", "pair-b"] as const;
export const OWN = "by-session";
/** One that keeps little: there is something to rewrite, and what is behind it is had by a snapshot only. */
export const SHORT = "kept-short";
export const SHORT_BYTES = 256 * 1024;
export const STREAMS = ["by-socket", "by-http", "by-protocol", OWN, ...PAIR] as const;

export class Load {
  readonly urls: readonly string[];
  readonly journal: Journal;
  /** Fires when no more is to be appended … */
  readonly written: AbortSignal;
  /** … and when readers and workers, too, are to end. */
  readonly over: AbortSignal;

  constructor(urls: readonly string[], journal: Journal, written: AbortSignal, over: AbortSignal) {
    this.urls = urls;
    this.journal = journal;
    this.written = written;
    this.over = over;
  }

  url(turn: number): string {
    return this.urls[turn % this.urls.length] as string;
  }

  connect(scheme: "ws" | "http", turn: number, consistency: Consistency = "session"): Client {
    return connect(this.url(turn).replace("http", scheme), { consistency });
  }

  /** A client each of whose requests goes to another node than the one before. */
  connectToAll(first: number, consistency: Consistency): Client {
    let turn = first;
    return connect(this.url(first), {
      consistency,
      fetch: (asked, init) => {
        const { pathname, search } = new URL(asked instanceof Request ? asked.url : asked);
        return fetch(this.url((turn += 1)) + pathname + search, init);
      },
    });
  }
}

/** Of a call that failed. */
export function outcomeOf(error: unknown): Outcome {
  return error instanceof TidemarkError && error.outcome === "not-applied" ? { kind: "refused" } : { kind: "unknown" };
}

/** What was appended, without what it was filled up with. */
export function valueOf(text: string): string {
  return text.slice(0, text.indexOf(" "));
}

/** Of a body in which several records stand behind each other. */
export function valuesIn(body: string): readonly string[] {
  return body.split(PADDING).filter((value) => value !== "");
}
