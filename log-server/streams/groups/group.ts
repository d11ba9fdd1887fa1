/** A consumer group: what it was made with, and what it counts. Its members and streams have rows of their own. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import type { GroupConfig, MemberName } from "../../../src/wire/group-command.ts";
import { readGroupConfig, writeGroupConfig } from "../../../src/wire/group-command-codec.ts";
import { Glob } from "../glob.ts";
import type { GroupMember } from "./group-member.ts";
import type { GroupPartition } from "./group-partition.ts";
import type { GroupQueue } from "./group-queue.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";
import type { Stream } from "../stream.ts";

/** A stream that a group follows; all of one group are of its mode. */
export type GroupLink = GroupPartition | GroupQueue;

export class Group extends RowOwner {
  /** `streams` are sorted, each once. */
  readonly config: GroupConfig;
  readonly createdAtMs: number;
  /** Records that went to the dead-letter stream, and those that died and went nowhere. */
  deadLettered = 0;
  dropped = 0;
  /** Streams that found no place when they were made, and that it does not follow. */
  unlinked = 0;
  /** Id of the stream that the last take ended with: the next one begins behind it. */
  turn = 0;

  readonly #named: ReadonlySet<StreamName>;
  readonly #glob: Glob | undefined;

  /** Found again from other rows. */
  readonly members = new Map<MemberName, GroupMember>();
  readonly links = new Map<Stream, GroupLink>();
  /** Those of a queue that may have something for a take, sorted by their streams' ids. */
  readonly ready: GroupQueue[] = [];
  /** Records of a queue that were given out, or given up, and are not done. */
  outstanding = 0;

  constructor(config: GroupConfig, createdAtMs: number) {
    super();
    this.config = config;
    this.createdAtMs = createdAtMs;
    this.#named = new Set(config.streams);
    this.#glob = config.pattern === undefined ? undefined : new Glob(config.pattern);
  }

  get id(): string {
    return this.config.id;
  }

  /** Where dead records go. */
  get deadLetter(): StreamName | undefined {
    return this.config.mode.kind === "queue" ? this.config.mode.deadLetter : undefined;
  }

  /** Whether it follows a stream of this name. Never its own dead letters: they would come back for ever. */
  wants(name: StreamName): boolean {
    if (this.#named.has(name)) return true;
    return name !== this.deadLetter && this.#glob !== undefined && this.#glob.matches(name);
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.group).bytes(utf8(this.id)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writeGroupConfig(writer, this.config);
      writer.varint(this.createdAtMs).varint(this.deadLettered).varint(this.dropped);
      writer.varint(this.unlinked).varint(this.turn);
    });
  }
}

/** One form for one configuration. */
export function configBytes(config: GroupConfig): Uint8Array {
  return encodeRow((writer) => writeGroupConfig(writer, config));
}

export function readGroupRow(id: string, reader: ByteReader): Group | undefined {
  const group = new Group(readGroupConfig(id, reader), reader.varint());
  group.deadLettered = reader.varint();
  group.dropped = reader.varint();
  group.unlinked = reader.varint();
  group.turn = reader.varint();
  return reader.complete ? group : undefined;
}
