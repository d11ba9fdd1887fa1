/**
 * Reads that refresh a sliding expiry, collected for a moment and proposed as one `touch` command (DESIGN, log time).
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { Command } from "../../src/wire/command.ts";
import type { NodeParts } from "./node-parts.ts";

export class Touches {
  readonly #parts: NodeParts;
  readonly #propose: (command: Command) => Promise<void>;
  #names = new Set<string>();
  #timer: Timer | undefined;

  constructor(parts: NodeParts, propose: (command: Command) => Promise<void>) {
    this.#parts = parts;
    this.#propose = propose;
  }

  add(name: string): void {
    const { limits, machine, clock } = this.#parts;
    const stream = machine.stream(name);
    if (stream === undefined || stream.expiry.kind !== "sliding") return;
    if (this.#names.size >= limits.touchesMax) void this.flush();
    this.#names.add(name);
    // A stream about to expire must be refreshed before it does.
    const left = (stream.expiresAtMs ?? 0) - clock.now();
    if (left <= limits.touchDelayMs * 2) void this.flush();
    else this.#timer ??= clock.schedule(limits.touchDelayMs, () => void this.flush());
  }

  /** Proposes what was collected; resolves once it is applied. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#names.size === 0) return;
    const streams = [...this.#names].sort();
    this.#names = new Set();
    await this.#propose({ kind: "touch", streams });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#names.clear();
  }
}
