/**
 * The faults a simulated disk is told to have: the n-th matching call fails, is lost or goes astray. Every fault that
 * really happened is counted, so that a run can show that it was not vacuous.
 */

export type DiskOperation =
  | "open"
  | "create"
  | "list"
  | "read"
  | "write"
  | "allocate"
  | "sync"
  | "create-directory"
  | "rename"
  | "remove"
  | "sync-directory";

/**
 * `io`, `no-space`: the call fails. A failed `sync` drops what it should have written and marks it clean, as ext4
 * does, so that a retry "succeeds" (P30). `lost`: a write reports success and changes nothing. `misdirected`: it
 * lands `misdirectedBy` bytes away from its place.
 */
export type DiskFaultEffect = "io" | "no-space" | "lost" | "misdirected";

export type DiskFault = {
  readonly operation: DiskOperation;
  readonly effect: DiskFaultEffect;
  /** 1: the next matching call. */
  readonly nth: number;
  /** Only calls on such paths match; absent: all. */
  readonly path?: (path: string) => boolean;
  readonly misdirectedBy?: number;
};

export type DiskFaultKind =
  | `${DiskOperation}-error`
  | "no-space"
  | "lost-write"
  | "misdirected-write"
  | "bit-flip"
  | "zeroed-sector"
  | "stale-sector"
  | "crash"
  /** Unsynced operations that a crash lost, and writes of which it kept a part. */
  | "lost-operation"
  | "torn-write";

export class DiskFaults {
  readonly #armed: { readonly fault: DiskFault; left: number }[] = [];
  readonly #counts: Map<DiskFaultKind, number>;

  /** `counts` go on across crashes: they are of the run, not of one power cycle. */
  constructor(counts: Map<DiskFaultKind, number> = new Map()) {
    this.#counts = counts;
  }

  get counts(): Map<DiskFaultKind, number> {
    return this.#counts;
  }

  arm(fault: DiskFault): void {
    this.#armed.push({ fault, left: fault.nth });
  }

  disarm(): void {
    this.#armed.length = 0;
  }

  count(kind: DiskFaultKind, times = 1): void {
    if (times > 0) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + times);
  }

  /** The fault that this call has, counted; at most one. */
  take(operation: DiskOperation, path: string): DiskFault | undefined {
    let taken: DiskFault | undefined;
    for (const armed of this.#armed) {
      if (armed.fault.operation !== operation || armed.fault.path?.(path) === false) continue;
      if (armed.left > 1) armed.left -= 1;
      else taken ??= armed.fault;
    }
    if (taken === undefined) return undefined;
    const spent = this.#armed.findIndex((armed) => armed.fault === taken);
    this.#armed.splice(spent, 1);
    switch (taken.effect) {
      case "io":
        this.count(`${operation}-error`);
        break;
      case "no-space":
        this.count("no-space");
        break;
      case "lost":
        this.count("lost-write");
        break;
      case "misdirected":
        this.count("misdirected-write");
        break;
    }
    return taken;
  }
}
