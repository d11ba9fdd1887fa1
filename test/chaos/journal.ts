/** Everything that the clients of a run asked, were answered and were given, as it happens; and how long nobody could write. */
import type { Assignment, GroupHistory, Lease } from "./group-history.ts";
import type { Append, History, Look, Outcome, Reading, Seen, SessionRead } from "./history.ts";
import { pause } from "./pause.ts";

const LOOK_AGAIN_MS = 20;

type OpenAssignment = Omit<Assignment, "seen" | "committed"> & { readonly seen: Seen[]; committed: number };
type OpenLease = Omit<Lease, "outcome"> & { outcome: Lease["outcome"] };

export class Journal {
  readonly #appends: Append[] = [];
  readonly #readings: Reading[] = [];
  readonly #looks: Look[] = [];
  readonly #sessionReads: SessionRead[] = [];
  readonly #assignments: OpenAssignment[] = [];
  readonly #leases: OpenLease[] = [];
  /** When the newest append was acknowledged, and the longest wait for one since that was asked last. */
  #acknowledgedAt = performance.now();
  #longestMs = 0;

  get history(): History {
    return {
      appends: this.#appends,
      readings: this.#readings,
      looks: this.#looks,
      sessionReads: this.#sessionReads,
    };
  }

  get groups(): GroupHistory {
    return { assignments: this.#assignments, leases: this.#leases };
  }

  /** How much clients have been given so far: more means progress. */
  get given(): number {
    const seen = [...this.#readings, ...this.#assignments].reduce((sum, each) => sum + each.seen.length, 0);
    return seen + this.#leases.filter(({ outcome }) => outcome !== "open").length;
  }

  append(append: Omit<Append, "outcome">, outcome: Outcome): void {
    this.#appends.push({ ...append, outcome });
    if (outcome.kind !== "acknowledged") return;
    this.#longestMs = Math.max(this.#longestMs, outcome.at - this.#acknowledgedAt);
    this.#acknowledgedAt = Math.max(this.#acknowledgedAt, outcome.at);
  }

  /** Just answered. */
  look(look: Omit<Look, "answeredAt">): void {
    this.#looks.push({ ...look, answeredAt: performance.now() });
  }

  sessionRead(read: SessionRead): void {
    this.#sessionReads.push(read);
  }

  /** A reader that begins; what it is given is to be put into what this returns. */
  reading(reader: string, stream: string): Seen[] {
    const seen: Seen[] = [];
    this.#readings.push({ reader, stream, seen });
    return seen;
  }

  /** A member's new assignment; goes on in what this returns. */
  assignment(assignment: Omit<Assignment, "seen" | "committed">): OpenAssignment {
    const open = { ...assignment, seen: [], committed: 0 };
    this.#assignments.push(open);
    return open;
  }

  lease(lease: Omit<Lease, "outcome">): OpenLease {
    const open: OpenLease = { ...lease, outcome: "open" };
    this.#leases.push(open);
    return open;
  }

  /** The longest time without an acknowledgement since this was asked last. */
  longestPauseMs(): number {
    const longest = Math.max(this.#longestMs, performance.now() - this.#acknowledgedAt);
    this.#longestMs = 0;
    return longest;
  }

  /** Resolves once in each of the streams an append is acknowledged that was asked for after the call. */
  async progress(streams: readonly string[], signal: AbortSignal): Promise<void> {
    const askedAt = performance.now();
    const first = this.#appends.length;
    for (;;) {
      signal.throwIfAborted();
      const done = new Set<string>();
      for (const append of this.#appends.slice(first))
        if (append.askedAt >= askedAt && append.outcome.kind === "acknowledged") done.add(append.stream);
      if (streams.every((stream) => done.has(stream))) return;
      await pause(LOOK_AGAIN_MS);
    }
  }
}
