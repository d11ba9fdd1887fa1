/** What nodes say to and ask of each other, and the configuration that entries carry. */
import { isDeepStrictEqual } from "node:util";
import {
  decodeForward,
  decodeForwardAnswer,
  encodeForward,
  encodeForwardAnswer,
  type ForwardAnswer,
} from "../../../log-server/node/calls/forward-codec.ts";
import { NodeError } from "../../../log-server/node/node-error.ts";
import {
  answerHead,
  type CallMessage,
  decodeCall,
  encodeRefusal,
  requestHead,
} from "../../../log-server/node/calls/peer-call-codec.ts";
import { encodeFrame, FRAME_HEADER_LENGTH, type Frame, readHeader, sealFrame } from "../../../log-server/peer/frame.ts";
import { FrameParser } from "../../../log-server/peer/frame-parser.ts";
import { PEER_LIMITS } from "../../../log-server/peer/limits.ts";
import { SendQueue } from "../../../log-server/peer/send-queue.ts";
import { type Configuration, configurationOf } from "../../../log-server/raft/configuration.ts";
import { decodeConfiguration, encodeConfiguration } from "../../../log-server/raft/configuration-codec.ts";
import type { PeerMessage } from "../../../log-server/raft/message.ts";
import { encodeEntries } from "../../../log-server/raft/entries-codec.ts";
import { decodeMessage, encodeMessage } from "../../../log-server/raft/message-codec.ts";
import { concat } from "../../../src/lib/bytes.ts";
import { err, ok } from "../../../src/lib/result.ts";
import type { Command } from "../../../src/wire/command.ts";
import { append, create } from "../../node/sim-node.ts";
import { Prng } from "../../../src/lib/prng.ts";
import { makeEntries } from "../../log/log-world.ts";
import { cheap, demand, type Target } from "../target.ts";
import { SAMPLE_SEED } from "./samples.ts";

const from = { from: "alpha", to: "béta", term: 7 } as const;
const last = { index: 300, term: 6 };
const committed = { index: 299, term: 5 };
const configurations: readonly Configuration[] = [
  configurationOf(["a"]),
  configurationOf(["alpha", "beta", "gamma"]),
  {
    voters: ["a", "b", "c"],
    outgoing: ["a", "b", "d"],
    learners: [{ id: "e", wanted: "voter" }],
    demoted: ["d"],
  },
];
const entries = makeEntries(new Prng(SAMPLE_SEED), 301, 5, 7);

const MESSAGES: readonly PeerMessage[] = [
  { ...from, kind: "pre-vote", last, committed },
  { ...from, kind: "pre-vote-answer", granted: true, committed },
  { ...from, kind: "vote", last, committed, transfer: false },
  { ...from, kind: "vote-answer", granted: false, committed },
  { ...from, kind: "append", prev: last, committed: 299, entries },
  { ...from, kind: "append", prev: last, committed: 299, entries: [] },
  { ...from, kind: "append-accepted", index: 301 },
  { ...from, kind: "append-refused", index: 301, hint: committed, lost: true },
  { ...from, kind: "heartbeat", committed: 299, round: 4 },
  { ...from, kind: "heartbeat-answer", round: 4, standsBack: true },
  ...configurations.map((configuration): PeerMessage => ({
    ...from,
    kind: "snapshot",
    snapshot: { index: 9, term: 3, configuration },
  })),
  { ...from, kind: "campaign-now" },
  { ...from, kind: "outdated" },
  { ...from, kind: "read", session: 5, context: 6 },
  { ...from, kind: "read-answer", session: 5, context: 6, index: 7 },
];

const CALL = { log: 0, life: 0x1234_5678_9abc_def0n, id: 300 };
const BODY = Uint8Array.of(1, 2, 3);

const CALLS: readonly CallMessage[] = [
  { ...CALL, what: "request", kind: "forward", body: BODY },
  { ...CALL, what: "answer", body: BODY },
  { ...CALL, what: "refusal", reason: "overloaded" },
];

const FORWARDED: readonly Command[] = [
  append("s", ["v", "w"], { producer: { id: "p", epoch: 1, sequence: 2 } }),
  { kind: "transaction", conditions: [], operations: [append("s", ["x"]), create("u")] },
];
const FORWARD_ANSWERS: readonly ForwardAnswer[] = [
  { status: "not-leader" },
  {
    status: "done",
    position: 9,
    outcomes: [ok({ kind: "done" }), err(new NodeError("disk-full", "no room"))],
  },
];

/** Undefined where it is a request that only a newer version could write. */
function encodeCall(message: CallMessage): Uint8Array | undefined {
  switch (message.what) {
    case "request":
      return message.kind && concat([requestHead(message, message.kind), message.body]);
    case "answer":
      return concat([answerHead(message), message.body]);
    case "refusal":
      return encodeRefusal(message, message.reason);
  }
}

const PAYLOAD_MAX = 64;

/** Of messages that are whole, and of one of entries, which is cut before and within what proves itself. */
function frames(): Uint8Array {
  const queue = new SendQueue({ ...PEER_LIMITS, framePayloadBytesMax: PAYLOAD_MAX });
  queue.push("control", [BODY]);
  const encoded = encodeEntries(entries.slice(0, 2));
  queue.push("entries", encoded.pieces, encoded.batchBytes);
  const chunks: Uint8Array[] = [encodeFrame("ping", BODY)];
  for (let next = queue.next(); next !== undefined; next = queue.next()) chunks.push(...next.chunks);
  return concat(chunks);
}

/** Makes the hash of each frame good, as far as their lengths lead. */
function sealedFrames(bytes: Uint8Array): Uint8Array {
  const sealed = Buffer.from(bytes);
  for (let place = 0; place + FRAME_HEADER_LENGTH <= sealed.length;) {
    const header = readHeader(sealed, place);
    const end = place + FRAME_HEADER_LENGTH + (header?.length ?? 0);
    if (header === undefined || end > sealed.length) break;
    sealFrame(sealed.subarray(place, end), []);
    place = end;
  }
  return sealed;
}

/** Undefined where they break the protocol. */
function framesIn(...pieces: readonly Uint8Array[]): readonly Frame[] | undefined {
  const parser = new FrameParser(PAYLOAD_MAX);
  const found: Frame[] = [];
  for (const piece of pieces) {
    const violation = parser.push(Buffer.from(piece), (frame) => {
      found.push({ ...frame, payload: Buffer.from(frame.payload) });
      return true;
    });
    if (violation !== undefined) return undefined;
  }
  return found;
}

export const PEER_TARGETS: readonly Target[] = [
  cheap({
    name: "peer frames",
    samples: [frames()],
    seal: sealedFrames,
    check: (bytes) => {
      const found = framesIn(bytes);
      const middle = bytes.length >> 1;
      const cut = framesIn(bytes.subarray(0, middle), bytes.subarray(middle));
      demand(isDeepStrictEqual(cut, found), "N1: they are the same however the stream is cut");
      return found === undefined || found.length === 0 ? "refused" : "accepted";
    },
    // Several times the input, and what one frame claims that is not whole.
    allocationMax: 4 * PAYLOAD_MAX,
  }),
  cheap({
    name: "peer messages",
    samples: MESSAGES.map((message) => concat(encodeMessage(0, message))),
    check: (bytes) => {
      const decoded = decodeMessage(bytes);
      if (!decoded.ok || decoded.value.kind === "unknown") return "refused";
      const { log, message } = decoded.value;
      const again = decodeMessage(concat(encodeMessage(log, message)));
      demand(again.ok && isDeepStrictEqual(again.value, decoded.value), "sent on, it says the same");
      return "accepted";
    },
  }),
  cheap({
    name: "peer calls",
    samples: CALLS.flatMap((call) => encodeCall(call) ?? []),
    check: (bytes) => {
      const decoded = decodeCall(bytes);
      if (!decoded.ok) return "refused";
      const encoded = encodeCall(decoded.value);
      if (encoded === undefined) return "refused";
      const again = decodeCall(encoded);
      demand(again.ok && isDeepStrictEqual(again.value, decoded.value), "sent on, it says the same");
      return "accepted";
    },
  }),
  cheap({
    name: "forwarded commands",
    samples: [concat(encodeForward({ run: 300, sequence: 2 }, FORWARDED))],
    check: (bytes) => {
      const decoded = decodeForward(bytes);
      if (decoded === undefined) return "refused";
      const again = decodeForward(concat(encodeForward(decoded, decoded.commands)));
      demand(isDeepStrictEqual(again, decoded), "sent on, they say the same");
      return "accepted";
    },
  }),
  cheap({
    name: "answers to forwarded commands",
    samples: FORWARD_ANSWERS.map(encodeForwardAnswer),
    check: (bytes) => {
      const decoded = decodeForwardAnswer(bytes);
      if (decoded === undefined) return "refused";
      const again = decodeForwardAnswer(encodeForwardAnswer(decoded));
      demand(again?.status === decoded.status, "sent on, it says the same");
      return "accepted";
    },
  }),
  cheap({
    name: "configurations",
    samples: configurations.map(encodeConfiguration),
    check: (bytes) => {
      const decoded = decodeConfiguration(bytes);
      if (!decoded.ok) return "refused";
      const again = decodeConfiguration(encodeConfiguration(decoded.value));
      demand(again.ok && isDeepStrictEqual(again.value, decoded.value), "I10: encoded again, it is the same");
      demand(decoded.value.voters.length > 0, "somebody votes");
      return "accepted";
    },
  }),
];
