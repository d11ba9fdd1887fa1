/** A snapshot waits until what it stands on is sealed; but not for ever, and not where nobody would wake it. */
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Checkpointer, type CheckpointerParts } from "../../log-server/node/checkpointer.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { SimClock } from "../../src/sim/clock.ts";

const POSITION = 10;

/** A node that has applied a few entries, over a log that seals them when it is told to. */
class World {
  readonly clock = new SimClock();
  readonly done: string[] = [];
  isSealed = false;
  /** Something was sealed. */
  sealed: () => void = () => undefined;
  readonly checkpointer: Checkpointer;

  constructor() {
    const did = (what: string) => (): Promise<void> => {
      this.done.push(what);
      return Promise.resolve();
    };
    const parts: CheckpointerParts = {
      clock: this.clock,
      limits: NODE_LIMITS,
      observer: NO_OBSERVER,
      imagePosition: 0,
      snapshotPosition: 0,
      machine: { position: POSITION, changedRows: 0, drainChanges: () => [], rows: () => [], digest: () => 0n },
      log: {
        horizon: { index: 0, term: 0, logTime: 0, hash: 0n, configuration: new Uint8Array(0) },
        bytesAfter: () => 0,
        poisoned: undefined,
        saveImage: did("image"),
        discardImage: did("no image"),
        snapshotImage: did("snapshot"),
        roll: did("roll"),
        isSealed: () => this.isSealed,
        onSealed: (listener) => (this.sealed = listener),
      },
    };
    this.checkpointer = new Checkpointer(parts);
  }

  /** Lets so much time pass, tick by tick; true if it ended meanwhile. */
  async ends(work: Promise<void>, withinMs: number): Promise<boolean> {
    let ended = false;
    void work.then(() => (ended = true));
    for (let passed = 0; passed <= withinMs; passed += NODE_LIMITS.tickMs) {
      await setImmediate();
      this.clock.advance(NODE_LIMITS.tickMs);
    }
    await setImmediate();
    return ended;
  }
}

describe("a snapshot", () => {
  it("is written once what it stands on is sealed, though nothing is appended any more", async () => {
    const world = new World();
    const work = world.checkpointer.snapshot();
    expect(await world.ends(work, NODE_LIMITS.sealWaitMsMax / 2)).toBe(false);
    expect(world.done).toEqual(["image", "roll"]);
    world.isSealed = true;
    world.sealed();
    expect(await world.ends(work, 0)).toBe(true);
    expect(world.done).toEqual(["image", "roll", "snapshot"]);
    expect(world.checkpointer.snapshotPosition).toBe(POSITION);
  });

  it("is not, where that takes too long", async () => {
    const world = new World();
    expect(await world.ends(world.checkpointer.snapshot(), NODE_LIMITS.sealWaitMsMax + NODE_LIMITS.tickMs)).toBe(true);
    expect(world.done).toEqual(["image", "roll"]);
  });

  it("keeps nobody waiting who stops the node, and waits for this before that", async () => {
    const world = new World();
    const work = world.checkpointer.snapshot();
    expect(await world.ends(work, NODE_LIMITS.tickMs)).toBe(false);
    world.checkpointer.halt();
    expect(await world.ends(work, 0)).toBe(true);
    await world.checkpointer.stop(true);
    expect(world.done).toEqual(["image", "roll"]);
  });
});
