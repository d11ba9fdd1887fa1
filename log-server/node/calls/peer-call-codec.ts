/**
 * Calls between nodes as bytes. What a request and an answer say is the business of whoever handles the kind.
 *
 *     u8 version (1), u8 what, varint log, u64 life, varint id, then:
 *
 *      1 request  varint kind, body
 *      2 answer   body
 *      3 refusal  u8 reason
 *
 * `life` is the caller's, drawn at its start: an answer to a call of an earlier life is told apart by it.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";

const VERSION = 1;
const REQUEST = 1;
const ANSWER = 2;
const REFUSAL = 3;

/** What one node may ask of another. Never renumber: other versions of nodes read these. */
const KIND_CODES = {
  /** Commands for the leader: `forward-codec.ts`. */
  "forward": 1,
  /** Whether there is a cluster, and who founded it: `founding-codec.ts`. */
  "cluster-of": 40,
  /** A change of the cluster, for the leader: `cluster-change.ts`. */
  "cluster-change": 41,
  /** Answered with u64 the wall clock, in milliseconds, and varint the newest feature level: `peer-watch.ts`. */
  "facts": 42,
  /** How far each member is, as the leader knows it: `standings.ts`. */
  "standings": 43,
  /** What damage took of a log: `repair-codec.ts`. */
  "repair-entries": 50,
  /** Where a log ends: `log-end-codec.ts`. */
  "log-end": 51,
  "repair-batches": 53,
  "repair-placements": 54,
  "repair-ranges": 58,
  /** All that the leader has, for a node that cannot go on: answered with u8 whether it comes (`rebuilder.ts`). */
  "ship-log": 55,
  /** The same, for a node that can go on, and takes nothing damaged; and whether no damage is known: both u8 (`renewer.ts`). */
  "ship-whole": 56,
  "is-whole": 57,
  /** Varint index; answered with u8 whether the digest after that entry is known, and if so u64: `digest-exchange.ts`. */
  "digest": 52,
} as const satisfies Record<string, number>;

export type CallKind = keyof typeof KIND_CODES;

const KINDS = new Map<number, CallKind>(Object.entries(KIND_CODES).map(([kind, code]) => [code, kind as CallKind]));

/** `overloaded` and `unsupported`: nothing was done. `failed`: perhaps something was. */
const REASON_CODES = { overloaded: 1, unsupported: 2, failed: 3 } as const;

export type CallRefusal = keyof typeof REASON_CODES;

const REASONS = new Map<number, CallRefusal>(
  Object.entries(REASON_CODES).map(([reason, code]) => [code, reason as CallRefusal]),
);

/** Which call it is. */
export type CallId = { readonly log: number; readonly life: bigint; readonly id: number };

export type CallMessage =
  /** `kind` is undefined where it is of a newer version. */
  | (CallId & { readonly what: "request"; readonly kind: CallKind | undefined; readonly body: Uint8Array })
  | (CallId & { readonly what: "answer"; readonly body: Uint8Array })
  | (CallId & { readonly what: "refusal"; readonly reason: CallRefusal });

export function requestHead(call: CallId, kind: CallKind): Uint8Array {
  return head(call, REQUEST).varint(KIND_CODES[kind]).finish();
}

export function answerHead(call: CallId): Uint8Array {
  return head(call, ANSWER).finish();
}

export function encodeRefusal(call: CallId, reason: CallRefusal): Uint8Array {
  return head(call, REFUSAL).u8(REASON_CODES[reason]).finish();
}

/** Takes any bytes. Bodies are not copied. */
export function decodeCall(bytes: Uint8Array): Result<CallMessage, "unsupported-version" | "malformed"> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) return err(reader.failed ? "malformed" : "unsupported-version");
  const what = reader.u8();
  const call: CallId = { log: reader.varint(), life: reader.u64(), id: reader.varint() };
  if (what === REQUEST) {
    const kind = KINDS.get(reader.varint());
    const body = reader.bytes(reader.remaining);
    return reader.failed ? err("malformed") : ok({ ...call, what: "request", kind, body });
  }
  if (what === ANSWER) {
    const body = reader.bytes(reader.remaining);
    return reader.failed ? err("malformed") : ok({ ...call, what: "answer", body });
  }
  const code = reader.u8();
  if (what !== REFUSAL || !reader.complete) return err("malformed");
  // A reason that a newer version invented says the least.
  return ok({ ...call, what: "refusal", reason: REASONS.get(code) ?? "failed" });
}

function head({ log, life, id }: CallId, what: number): ByteWriter {
  return new ByteWriter(32).u8(VERSION).u8(what).varint(log).u64(life).varint(id);
}
