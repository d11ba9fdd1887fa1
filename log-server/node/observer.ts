/**
 * What the node tells whoever measures it. Called on the hot path: implementations only count. Numbers that are
 * merely current (positions, free space) are read from `LogNode.status()` instead.
 */
import type { CommandResult } from "../../src/wire/command.ts";

export interface NodeObserver {
  /** A proposal was answered; `milliseconds` since it was made. */
  proposed(result: CommandResult["kind"] | "failed", milliseconds: number): void;
  /** One group commit: entries and bytes made durable, and how long the write and sync took. */
  synced(entries: number, bytes: number, milliseconds: number): void;
  /** An event worth a log line: `code` is stable, the rest is detail. */
  event(code: string, detail: Readonly<Record<string, unknown>>): void;
}

export const NO_OBSERVER: NodeObserver = {
  proposed: () => undefined,
  synced: () => undefined,
  event: () => undefined,
};
