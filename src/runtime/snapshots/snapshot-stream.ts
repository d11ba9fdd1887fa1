/**
 * The stream that a task's snapshots are in, as the runtime sees it. Offsets are dense; what was trimmed is gone. It may be deleted, and
 * made anew by whoever asks for its bounds. All of it may reject where the log cannot be reached: a snapshot then fails, and nothing else does.
 */
import type { Incarnation, Offset } from "../../record/offset.ts";

export type StreamPart = {
  /** Of the first value; more than was asked for where that was trimmed. */
  readonly from: Offset;
  /** At least one, unless nothing stands there. */
  readonly values: readonly Uint8Array[];
};

/** The oldest offset that is kept, and the one behind the newest; the same where there is nothing. */
export type StreamBounds = {
  readonly first: Offset;
  readonly next: Offset;
  /** Another one once all was deleted: offsets begin anew then. */
  readonly incarnation: Incarnation;
};

export interface SnapshotStream {
  bounds(): Promise<StreamBounds>;
  /** From an offset on, about so many bytes. */
  read(from: Offset, bytes: number): Promise<StreamPart>;
  /** One behind the other, durable when it resolves: to the first one's offset. Of several calls at once any may be first. */
  append(values: readonly Uint8Array[]): Promise<Offset>;
  /** What is before the offset goes, unless it must be kept, or what was meant has been deleted. */
  trim(before: Offset, incarnation: Incarnation): Promise<void>;
}
