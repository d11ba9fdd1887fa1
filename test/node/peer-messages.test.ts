/** What one node's Raft says to another's: on which lane it goes, and what is not believed. */
import { describe, expect, it } from "vitest";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import { PeerMessages } from "../../log-server/node/consensus/peer-messages.ts";
import { configurationOf } from "../../log-server/raft/configuration.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import { encodeMessage } from "../../log-server/raft/message-codec.ts";
import type { Lane, Link } from "../../src/ports/link.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { batchOf } from "./sim-node.ts";

const ENTRY: Entry = {
  index: 5,
  term: 2,
  kind: "commands",
  logTime: 7,
  head: Uint8Array.of(1, 2, 3),
  batches: [batchOf("one", "two")],
};
const ENVELOPE = { from: "n1", to: "n2", term: 2 } as const;
const PREV = { index: 4, term: 2 };
const APPEND: PeerMessage = { ...ENVELOPE, kind: "append", prev: PREV, committed: 4, entries: [ENTRY] };
const HEARTBEAT: PeerMessage = { ...ENVELOPE, kind: "heartbeat", committed: 4, round: 1 };

class Recorder implements Link {
  readonly lanes: Lane[] = [];
  listen(): void {}
  send(_to: string, lane: Lane): boolean {
    this.lanes.push(lane);
    return true;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function messagesOf(nodeName: string, link: Link = new Recorder()): PeerMessages {
  return new PeerMessages({ link, logId: 0, nodeName, observer: NO_OBSERVER, isReceived: () => false });
}

function bytesOf(message: PeerMessage, log = 0): Uint8Array {
  return Uint8Array.from(Buffer.concat(encodeMessage(log, message)));
}

describe("sending", () => {
  it("keeps appends in order, empty ones too, and lets all else overtake them", () => {
    const link = new Recorder();
    const messages = messagesOf("n1", link);
    const accepted: PeerMessage = { ...ENVELOPE, kind: "append-accepted", index: 4 };
    expect(messages.send([APPEND, { ...APPEND, entries: [] }, HEARTBEAT, accepted])).toEqual([]);
    expect(link.lanes).toEqual(["entries", "entries", "control", "control"]);
  });
});

describe("receiving", () => {
  it("takes what is whole and meant for this log on this node", () => {
    const messages = messagesOf("n2");
    expect(messages.receive("n1", bytesOf(APPEND))).toMatchObject({ kind: "append", entries: [{ index: 5 }] });
    expect(messages.receive("n1", bytesOf(HEARTBEAT))).toEqual(HEARTBEAT);
    expect(messages.refused).toBe(0);
  });

  it.each([
    ["of another log", "n1", bytesOf(HEARTBEAT, 1)],
    ["for another node", "n1", bytesOf({ ...HEARTBEAT, to: "n3" })],
    ["that claims another sender", "n3", bytesOf(HEARTBEAT)],
    ["that is no message", "n1", Uint8Array.of(9, 9, 9)],
    [
      "of a snapshot that was not shipped",
      "n1",
      bytesOf({ ...ENVELOPE, kind: "snapshot", snapshot: { ...PREV, configuration: configurationOf(["n1", "n2"]) } }),
    ],
  ])("refuses a message %s", (_, from, bytes) => {
    const messages = messagesOf("n2");
    expect(messages.receive(from, bytes)).toBeUndefined();
    expect(messages.refused).toBe(1);
  });

  it("refuses entries with a bit wrong in any place of a batch: they would be acknowledged (I13)", () => {
    const messages = messagesOf("n2");
    const whole = bytesOf(APPEND);
    const { length } = ENTRY.batches[0] as { length: number };
    for (let place = whole.length - length; place < whole.length; place += 1) {
      const damaged = whole.slice();
      damaged[place] = (damaged[place] as number) ^ 1;
      expect(messages.receive("n1", damaged), `byte ${place}`).toBeUndefined();
    }
    expect(messages.refused).toBe(length);
  });

  it("passes over a kind of a newer version, without a complaint", () => {
    const messages = messagesOf("n2");
    const bytes = bytesOf(HEARTBEAT);
    bytes[1] = 99;
    expect(messages.receive("n1", bytes)).toBeUndefined();
    expect(messages.refused).toBe(0);
  });
});
