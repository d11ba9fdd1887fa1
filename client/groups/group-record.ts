/** A record as members of a group get it: it says which stream it is of, for a group shares many. */
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { ReceivedRecord } from "../reading/received-record.ts";

export class GroupRecord extends ReceivedRecord {
  /** The name of its stream. */
  readonly stream: string;
  readonly #generation: number;

  constructor(record: StreamRecord, place: GroupPlace, logTime: number) {
    super(record, place.offset, logTime, place.incarnation);
    this.stream = place.stream;
    this.#generation = place.generation;
  }

  /** Fences the assignment, or the lease, that it came by: of whoever has the record later it is another. */
  get generation(): number {
    return this.#generation;
  }
}

/** Where a record is, and by what right it was given. */
export type GroupPlace = {
  readonly stream: string;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
  readonly generation: number;
};

/** What a record consists of, to be made into one of another kind. */
export function contentOf({ key, value, headers, timestamp }: ReceivedRecord): StreamRecord {
  return { value, timestamp, ...(key !== undefined && { key }), ...(headers.length > 0 && { headers }) };
}
