/**
 * What every node applies and who leads, as seen from outside: of each index there is one entry, whoever applies it and
 * however often it lives (I3, I4), the state after it is the same (I10), terms and log time do not go back along the log,
 * and of each term there is one leader (I1).
 */
import type { LogNode } from "../../../log-server/node/log-node.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { Lane } from "../../../src/ports/link.ts";
import { utf8 } from "../../../src/lib/bytes.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { Violation } from "../history.ts";

type Known = {
  readonly identity: string;
  readonly term: number;
  readonly logTime: number;
  readonly digest: bigint;
  readonly by: string;
};

/** Kinds of messages that only a leader sends (log-server/raft/message-codec.ts): append, heartbeat, snapshot. */
const LEADERS_KINDS: ReadonlySet<number> = new Set([5, 8, 10]);
const MESSAGE_VERSION = 1;
const NAME_BYTES_MAX = 1_024;

export class EntryHistory {
  readonly #known: (Known | undefined)[] = [];
  readonly #leaders = new Map<number, string>();
  readonly #violated: (violation: Violation) => void;
  readonly #note: (line: string) => void;
  #fingerprint = 0n;

  constructor(violated: (violation: Violation) => void, note: (line: string) => void) {
    this.#violated = violated;
    this.#note = note;
  }

  /** Of every entry, byte for byte, in the order in which they were first applied: for a trace that shall repeat itself. */
  get fingerprint(): bigint {
    return this.#fingerprint;
  }

  get terms(): number {
    return this.#leaders.size;
  }

  /** From now on. What it has restored must be a state that was known. */
  watch(name: string, node: LogNode): void {
    const { machine } = node;
    const restored = this.#known[machine.position];
    if (restored !== undefined && restored.digest !== machine.digest())
      this.#violate(`I10: ${name} restored another state of position ${machine.position} than ${restored.by} had`);
    const apply = machine.apply.bind(machine);
    machine.apply = (entry, commands) => {
      const applied = apply(entry, commands);
      this.#applied(name, entry as Entry, machine.digest());
      return applied;
    };
  }

  /** One node sends another these bytes. */
  sent(from: string, lane: Lane, [head]: readonly Uint8Array[]): void {
    if (head === undefined || (lane !== "control" && lane !== "entries")) return;
    const reader = new ByteReader(head);
    if (reader.u8() !== MESSAGE_VERSION || !LEADERS_KINDS.has(reader.u8())) return;
    reader.varint();
    reader.string(NAME_BYTES_MAX);
    reader.string(NAME_BYTES_MAX);
    const term = reader.varint();
    if (reader.failed) return;
    const leader = this.#leaders.get(term);
    if (leader === undefined) {
      this.#leaders.set(term, from);
      this.#note(`${from} leads term ${term}`);
    } else if (leader !== from) this.#violate(`I1: ${leader} and ${from} both lead term ${term}`);
  }

  #applied(name: string, entry: Entry, digest: bigint): void {
    const { index, term, kind, logTime } = entry;
    const identity = identityOf(entry);
    const known = this.#known[index];
    if (known === undefined) {
      const before = this.#known[index - 1];
      if (before !== undefined && term < before.term)
        this.#violate(`I2: entry ${index} is of an earlier term than ${index - 1}`);
      // Raft's own entries carry no time.
      const lastTime = before?.logTime ?? 0;
      if (kind === "commands" && logTime < lastTime) this.#violate(`I14: log time goes back at entry ${index}`);
      this.#fingerprint = xxh64(utf8(`${index}: ${identity}`), this.#fingerprint);
      this.#known[index] = { identity, term, logTime: Math.max(lastTime, logTime), digest, by: name };
    } else if (known.identity !== identity) {
      this.#violate(`I4: ${name} applies ${identity} at ${index}, where ${known.by} applied ${known.identity}`);
    } else if (known.digest !== digest) {
      this.#violate(`I10: after entry ${index}, ${name} has another state than ${known.by}`);
    }
  }

  #violate(what: string): void {
    this.#violated(new Violation(what));
  }
}

function identityOf({ term, kind, logTime, head, batches }: Entry): string {
  return `${kind} of term ${term} at ${logTime}: ${xxh64(head)} ${batches.map(({ hash }) => hash).join()}`;
}
