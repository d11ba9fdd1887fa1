/** Where a group is to go on, worked out from what its streams hold: nothing is changed here. */
import type { Offset } from "../../src/record/offset.ts";
import type { GroupPosition } from "../../src/wire/group-command.ts";
import type { GroupStream } from "../../src/wire/group-look-up.ts";
import type { Connection } from "../connection.ts";
import type { CallOptions } from "../deadline.ts";
import { TidemarkError } from "../error.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { toMilliseconds, toPlace, type FromTime, type Place } from "../stream.ts";

/** The streams' starts or ends, the first records appended at a time or later, or for each stream a place in it. */
export type ResetTarget = "start" | "end" | FromTime | { readonly places: Readonly<Record<string, Place>> };

/** What becomes of one stream. */
export type ResetMove = {
  readonly stream: string;
  /** Where the group was, and where it goes on. */
  readonly from: Offset;
  readonly to: Offset;
  /** The offset that the next record will have. */
  readonly tail: Offset;
};

export async function resetMoves(
  connection: Connection,
  group: string,
  followed: readonly GroupStream[],
  target: ResetTarget,
  call: CallOptions,
): Promise<readonly (ResetMove & GroupPosition)[]> {
  if (typeof target === "object" && "places" in target) {
    return Object.entries(target.places).map(([name, place]) => {
      const stream = followed.find((each) => each.stream === name);
      if (stream === undefined)
        throw new TidemarkError("stream-not-found", `the group "${group}" follows no stream "${name}"`);
      const { offset, incarnation = stream.incarnation } = toPlace(place);
      if (incarnation !== stream.incarnation)
        throw new TidemarkError("stream-gone", `the place is in an earlier stream called "${name}"`);
      return moveOf(stream, offset);
    });
  }
  if (target === "end") return followed.map((stream) => moveOf(stream, stream.tail));
  const atMs = target === "start" ? 0 : toMilliseconds(target.time);
  const moves: (ResetMove & GroupPosition)[] = [];
  for (let place = 0; place < followed.length; place += CLIENT_LIMITS.locatesTogether) {
    const asked = followed.slice(place, place + CLIENT_LIMITS.locatesTogether).map(async (stream) => {
      const { offset } = await connection.lookUp(
        { kind: "locate", stream: stream.stream, incarnation: stream.incarnation, atMs },
        call,
      );
      return moveOf(stream, offset);
    });
    moves.push(...(await Promise.all(asked)));
  }
  return moves;
}

function moveOf({ stream, incarnation, committed, tail }: GroupStream, to: Offset): ResetMove & GroupPosition {
  return { stream, incarnation, offset: to, from: committed, to, tail };
}
