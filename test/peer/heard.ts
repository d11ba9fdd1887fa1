/** A link's listener that writes down everything, and lets a test wait for it. */
import type { Lane, LinkListener } from "../../src/ports/link.ts";

export type HeardMessage = { readonly from: string; readonly lane: Lane; readonly bytes: Uint8Array };

export class Heard implements LinkListener {
  readonly messages: HeardMessage[] = [];
  /** "+n2" reachable, "-n2" unreachable, "~n2" room. */
  readonly events: string[] = [];
  /** Instead of writing it down. */
  onBulk: ((from: string, bytes: Uint8Array) => void) | undefined;
  onRoom: ((peer: string) => void) | undefined;
  onReachable: ((peer: string) => void) | undefined;
  readonly #reachable = new Set<string>();
  #waiting: (() => void)[] = [];

  message(from: string, lane: Lane, bytes: Uint8Array): void {
    if (lane === "bulk" && this.onBulk !== undefined) this.onBulk(from, bytes);
    else this.messages.push({ from, lane, bytes });
    this.notify();
  }

  reachable(peer: string): void {
    this.#reachable.add(peer);
    this.events.push(`+${peer}`);
    this.onReachable?.(peer);
    this.notify();
  }

  unreachable(peer: string): void {
    this.#reachable.delete(peer);
    this.events.push(`-${peer}`);
    this.notify();
  }

  room(peer: string): void {
    this.events.push(`~${peer}`);
    this.onRoom?.(peer);
    this.notify();
  }

  reaches(peer: string): boolean {
    return this.#reachable.has(peer);
  }

  texts(lane: Lane): string[] {
    return this.messages.filter((each) => each.lane === lane).map(({ bytes }) => new TextDecoder().decode(bytes));
  }

  /** Resolves once the condition holds, looked at after each thing that is heard. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
