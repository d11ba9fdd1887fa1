/** `POST /v1/groups/{id}/reset`: where a group goes on; or, as a dry run, where it would. */
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { Incarnation, Offset } from "../../../src/record/offset.ts";
import type { GroupStreamView, GroupView } from "../../streams/groups/group-views.ts";
import type { StreamView } from "../../streams/views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { findGroup } from "../native/answer-groups.ts";
import { offsetAtTime } from "../native/answer-look-up.ts";
import { checkIncarnation } from "../native/answer-read.ts";
import { parsePlace, parseTime } from "../places.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, Count, Place, PROBLEMS, Time } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { GROUP_PATH, GroupId } from "./paths.ts";

const HOW = {
  streams: Type.Optional(Type.Array(Type.String(), { description: "only these of the group's streams; default: all" })),
  force: Type.Optional(Type.Boolean({ description: "even if members are at work: what they hold is theirs no more" })),
  dryRun: Type.Optional(Type.Boolean({ description: "changes nothing" })),
};

const ResetBody = Type.Union([
  Type.Object(
    { to: Type.Union([Type.Literal("start"), Type.Literal("end")]), ...HOW },
    { additionalProperties: false },
  ),
  Type.Object({ toTime: Time, ...HOW }, { additionalProperties: false }),
  Type.Object(
    {
      positions: Type.Array(Type.Object({ stream: Type.String(), offset: Place }, { additionalProperties: false })),
      force: HOW.force,
      dryRun: HOW.dryRun,
    },
    { additionalProperties: false },
  ),
]);
type ResetInput = Static<typeof ResetBody>;

const ResetOut = Type.Object({
  dryRun: Type.Boolean(),
  busy: Type.Boolean({ description: "members were at work: without `force` it is refused" }),
  positions: Type.Array(
    Type.Object({
      stream: Type.String(),
      incarnation: Count,
      from: Type.Integer({ description: "where the group was" }),
      to: Type.Integer({ description: "where it goes on" }),
      tail: Count,
    }),
  ),
});

type Move = {
  readonly stream: string;
  readonly incarnation: Incarnation;
  readonly from: Offset;
  readonly to: Offset;
  readonly tail: Offset;
};

export function registerResetRoute(server: FastifyInstance, context: HttpContext): void {
  const { node, answers } = context;
  registerTyped(server, (routes) => {
    routes.post(
      `${GROUP_PATH}/reset`,
      {
        schema: {
          tags: ["groups"],
          summary: "Set where a group goes on: at the start, the end, a time, or offsets",
          params: GroupId,
          body: ResetBody,
          response: { 200: answered("where it was and where it is; or would be", ResetOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const { force = false, dryRun = false } = request.body;
        await node.barrier();
        const group = findGroup(context, id);
        const busy = group.config.mode.kind === "queue" ? group.inFlight > 0 : group.memberCount > 0;
        const moves = await movesOf(context, group, request.body);
        if (!dryRun) {
          const positions = moves.map(({ stream, incarnation, to }) => ({ stream, incarnation, offset: to }));
          const result = await node.propose({ kind: "group-reset", id, force, positions });
          if (result.kind === "rejected") throw rejectionError(result);
        }
        answers.json(reply, 200, [], { dryRun, busy, positions: moves });
      },
    );
  });
}

async function movesOf(context: HttpContext, group: GroupView, input: ResetInput): Promise<readonly Move[]> {
  const followed = new Map(group.streams().map((stream) => [stream.stream, stream]));
  const names = "positions" in input ? input.positions.map(({ stream }) => stream) : (input.streams ?? followed.keys());
  const moves: Move[] = [];
  let item = 0;
  for (const name of names) {
    const link = followed.get(name);
    const stream = link === undefined ? undefined : context.node.machine.streamById(link.streamId);
    if (link === undefined || stream === undefined)
      throw new HttpError("stream-not-found", `the group follows no stream "${name.toWellFormed()}"`);
    moves.push(moveOf(link, stream, await targetOf(context, stream, input, item)));
    item += 1;
  }
  return moves;
}

/** What is not retained any more means what is. */
function moveOf({ incarnation, committed }: GroupStreamView, stream: StreamView, to: Offset): Move {
  const { name, firstOffset, nextOffset } = stream;
  return { stream: name, incarnation, from: committed, to: Math.max(to, firstOffset), tail: nextOffset };
}

async function targetOf(context: HttpContext, stream: StreamView, input: ResetInput, item: number): Promise<Offset> {
  if ("toTime" in input) return offsetAtTime(context, stream, parseTime(input.toTime));
  if ("to" in input) return input.to === "start" ? stream.firstOffset : stream.nextOffset;
  const place = parsePlace(input.positions[item]?.offset ?? 0);
  checkIncarnation(stream, place.incarnation);
  if (place.offset > stream.nextOffset) throw new HttpError("malformed-offset", "the offset is after the stream's end");
  return place.offset;
}
