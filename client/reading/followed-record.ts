/**
 * What a follow of many streams gives: records that say which stream they are of and where the log has them, and marks.
 */
import type { LogPlace } from "../../src/record/log-place.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import type { RecordPlace } from "../../src/record/record-place.ts";
import { ReceivedRecord } from "./received-record.ts";

export class FollowedRecord extends ReceivedRecord implements RecordPlace {
  /** The name of its stream. */
  readonly stream: string;
  /** Of its entry in the log; records of one transaction share it. */
  readonly position: number;
  /** Of its batch in the entry; records of one batch share it. */
  readonly ordinal: number;
  /** Its own in the batch: its offset less that of the batch's first record. */
  readonly index: number;

  constructor(
    record: StreamRecord,
    offset: Offset,
    logTime: number,
    incarnation: Incarnation,
    stream: string,
    position: number,
    ordinal: number,
    index: number,
  ) {
    super(record, offset, logTime, incarnation);
    this.stream = stream;
    this.position = position;
    this.ordinal = ordinal;
    this.index = index;
  }

  /** In the log's one order. */
  get place(): RecordPlace {
    return this;
  }

  /** Tells records from marks. */
  get kind(): "record" {
    return "record";
  }
}

/** Whatever the streams have before this place of the log was delivered, and nothing else will come that is. */
export type LogMark = {
  readonly kind: "mark";
  readonly next: LogPlace;
  /** No record still to come has an older log time, milliseconds since the Unix epoch. */
  readonly logTime: number;
};
