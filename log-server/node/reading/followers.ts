/**
 * Those who follow many streams at once: of a change each hears which streams changed, so that a thousand silent streams
 * cost nothing. Bounded over all followers; readers of one stream wait in `waiters.ts`.
 */
import { assert } from "../../../src/lib/assert.ts";
import { NodeError } from "../node-error.ts";

export class Followers {
  readonly #max: number;
  readonly #byStream = new Map<number, Set<Follower>>();
  readonly #awaitingProgress = new Set<Follower>();
  /** Streams followed, each as often as it is. */
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** What changes from now on is heard, until `close`. Throws `overloaded` at the bound. */
  follow(streamIds: readonly number[]): Follower {
    if (this.#count + streamIds.length > this.#max)
      throw new NodeError("overloaded", "too many streams are followed on this node");
    const follower = new Follower(streamIds, {
      leave: (streamId) => this.#leave(follower, streamId),
      awaitProgress: () => this.#awaitingProgress.add(follower),
      close: () => this.#awaitingProgress.delete(follower),
    });
    for (const streamId of streamIds) {
      const followers = this.#byStream.get(streamId) ?? new Set();
      this.#byStream.set(streamId, followers);
      assert(!followers.has(follower), "a follower names a stream once");
      followers.add(follower);
      this.#count += 1;
    }
    return follower;
  }

  /** The tail, the closure or the existence of a stream changed. */
  changed(streamId: number): void {
    for (const follower of this.#byStream.get(streamId) ?? []) follower.note(streamId);
  }

  /** Entries were applied. */
  progressed(): void {
    if (this.#awaitingProgress.size === 0) return;
    const waiting = [...this.#awaitingProgress];
    this.#awaitingProgress.clear();
    for (const follower of waiting) follower.wake();
  }

  #leave(follower: Follower, streamId: number): void {
    const followers = this.#byStream.get(streamId);
    if (followers?.delete(follower) !== true) return;
    this.#count -= 1;
    if (followers.size === 0) this.#byStream.delete(streamId);
  }
}

type Registry = {
  readonly leave: (streamId: number) => void;
  readonly awaitProgress: () => void;
  readonly close: () => void;
};

export class Follower {
  readonly #registry: Registry;
  readonly #streamIds: Set<number>;
  readonly #changed = new Set<number>();
  #onWake: (() => void) | undefined;

  constructor(streamIds: readonly number[], registry: Registry) {
    this.#streamIds = new Set(streamIds);
    this.#registry = registry;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** The streams that changed since the last call. */
  take(): readonly number[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  /** This stream is of no interest any more. */
  leave(streamId: number): void {
    if (!this.#streamIds.delete(streamId)) return;
    this.#changed.delete(streamId);
    this.#registry.leave(streamId);
  }

  /**
   * Resolves when a stream has changed, or when it is woken; with `progress`, when anything was applied. One waits at
   * a time.
   */
  wait(progress: boolean): Promise<void> {
    if (this.hasChanges) return Promise.resolve();
    if (progress) this.#registry.awaitProgress();
    return new Promise((resolve) => {
      this.#onWake = resolve;
    });
  }

  wake(): void {
    this.#onWake?.();
    this.#onWake = undefined;
  }

  close(): void {
    for (const streamId of [...this.#streamIds]) this.leave(streamId);
    this.#registry.close();
    this.wake();
  }

  /** For the registry. */
  note(streamId: number): void {
    this.#changed.add(streamId);
    this.wake();
  }
}
