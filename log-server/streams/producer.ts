/**
 * A producer of one stream: its epoch, its newest sequence, and the answers its newest commands got, so that a retry
 * takes effect once and gets its first answer (I8).
 */
import { compareBytes, utf8 } from "../../src/lib/bytes.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { ProducerTag } from "../../src/wire/command.ts";
import { Answers } from "./answers.ts";
import { Deadline } from "./deadlines.ts";
import { encodeRow, FAMILY, RowOwner, writeKeyNumber } from "./rows.ts";
import type { Stream } from "./stream.ts";

export class Producer extends RowOwner {
  readonly stream: Stream;
  readonly id: string;
  epoch: number;
  /** The newest accepted. */
  sequence: number;
  answers: Answers;
  usedAtMs: number;
  /** When it is forgotten. */
  readonly deadline: Deadline<Producer> = new Deadline<Producer>(this);

  constructor(stream: Stream, id: string, epoch: number, sequence: number, answers: Answers, usedAtMs: number) {
    super();
    this.stream = stream;
    this.id = id;
    this.epoch = epoch;
    this.sequence = sequence;
    this.answers = answers;
    this.usedAtMs = usedAtMs;
  }

  /** Returns what puts it back as it is now. */
  beforeImage(): () => void {
    const { epoch, sequence, usedAtMs } = this;
    const answers = this.answers.copy();
    return () => {
      this.epoch = epoch;
      this.sequence = sequence;
      this.answers = answers;
      this.usedAtMs = usedAtMs;
    };
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FAMILY.producer);
      writeKeyNumber(writer, this.stream.id);
      writer.bytes(utf8(this.id));
    });
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writer.varint(this.epoch).varint(this.sequence).varint(this.usedAtMs);
      this.answers.write(writer);
    });
  }
}

export function readProducer(stream: Stream, id: string, reader: ByteReader, answersMax: number): Producer {
  const epoch = reader.varint();
  const sequence = reader.varint();
  const usedAtMs = reader.varint();
  const answers = Answers.read(reader, answersMax);
  // The answers are those of the newest sequences, and there is one at least.
  if (answers.count === 0 || answers.count > sequence + 1) reader.fail();
  return new Producer(stream, id, epoch, sequence, answers, usedAtMs);
}

export function compareProducers(a: Producer, b: Producer): number {
  return a.stream.id - b.stream.id || compareBytes(utf8(a.id), utf8(b.id));
}

/** What a tagged command is to the producer's state (I8): the epoch is looked at first, then duplication. */
export type Standing =
  | { readonly kind: "fenced"; readonly epoch: number }
  /** A new epoch begins at sequence 0. */
  | { readonly kind: "bad-start" }
  | { readonly kind: "duplicate"; readonly producer: Producer }
  | { readonly kind: "gap"; readonly expected: number }
  | { readonly kind: "next" };

/** An unknown producer may begin any epoch, at sequence 0: one that was forgotten and goes on sees a gap (P37). */
export function standingOf(producer: Producer | undefined, tag: ProducerTag): Standing {
  if (producer === undefined) return tag.sequence === 0 ? { kind: "next" } : { kind: "gap", expected: 0 };
  if (tag.epoch < producer.epoch) return { kind: "fenced", epoch: producer.epoch };
  if (tag.epoch > producer.epoch) return tag.sequence === 0 ? { kind: "next" } : { kind: "bad-start" };
  if (tag.sequence <= producer.sequence) return { kind: "duplicate", producer };
  const expected = producer.sequence + 1;
  return tag.sequence === expected ? { kind: "next" } : { kind: "gap", expected };
}
