/** What takers of a queue ask: records to work on, and to settle what became of them. */
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import { unreachable } from "../../../src/lib/assert.ts";
import { formatOffset } from "../../../src/record/offset.ts";
import type { GroupOutcome, GroupSettlement } from "../../../src/wire/group-command.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { parsePlace } from "../places.ts";
import { RECORD_FIELDS } from "../records/record-out.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, Count, Place, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { incarnationOf } from "./incarnation-of.ts";
import { GROUP_PATH, GroupId } from "./paths.ts";
import { take, type Taken } from "./take.ts";

const UNNAMED_MEMBER = "http";

const TakeBody = Type.Object(
  {
    member: Type.Optional(Type.String({ description: "shown to others while the leases last; default: http" })),
    count: Type.Optional(Type.Integer({ minimum: 1, description: "records at most; default: 1" })),
    waitMs: Type.Optional(Type.Integer({ minimum: 0, description: "how long to wait where there are none" })),
    records: Type.Optional(Type.Boolean({ description: "false: only the leases, without the records" })),
  },
  { additionalProperties: false },
);

const LEASE = {
  stream: Type.String(),
  offset: Count,
  token: Type.String({ description: "the offset as a token" }),
  generation: Type.Integer({ description: "what settles it" }),
  attempt: Type.Integer({ description: "the how manieth lease, from 1" }),
};

const TakenOut = Type.Object({
  generation: Type.Integer({ description: "of all these leases; 0 without any" }),
  untilMs: Type.Integer({ description: "log time at which they end" }),
  leases: Type.Array(Type.Object({ ...LEASE, count: Type.Integer({ description: "records from the offset on" }) })),
  records: Type.Optional(
    Type.Array(Type.Object({ ...LEASE, ...RECORD_FIELDS }), {
      description: "those leased, as far as one answer has room; the rest are found in their streams",
    }),
  ),
});

const SettleBody = Type.Object(
  {
    settlements: Type.Array(
      Type.Object(
        {
          stream: Type.String(),
          offset: Place,
          count: Type.Optional(Type.Integer({ minimum: 1, description: "records from the offset on; default: 1" })),
          generation: Type.Integer({ minimum: 0, description: "of the lease" }),
          outcome: Type.Union(
            [Type.Literal("ack"), Type.Literal("nack"), Type.Literal("extend"), Type.Literal("release")],
            {
              description:
                "done; not now: it is given out again; not done yet: the lease begins anew; or nobody worked on it: it is given out again, and this was no attempt",
            },
          ),
          delayMs: Type.Optional(
            Type.Integer({ minimum: 0, description: "of a nack: how long it rests; default: as the group has it" }),
          ),
          reason: Type.Optional(Type.String({ description: "of a nack: the dead-letter stream is told of the last" })),
          leaseMs: Type.Optional(
            Type.Integer({ minimum: 0, description: "of an extend, from now on; default: as the group has it" }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
type SettleItem = Static<typeof SettleBody>["settlements"][number];

const SettledOut = Type.Object({
  refused: Type.Array(Type.Object({ stream: Type.String(), offset: Count, count: Count, generation: Count }), {
    description: "records whose lease was over; the others are settled",
  }),
});

export function registerQueueRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, limits, answers } = context;

  registerTyped(server, (routes) => {
    routes.post(
      `${GROUP_PATH}/take`,
      {
        schema: {
          tags: ["groups"],
          summary: "Take records of a queue, to work on them",
          description: "Each is leased: settle it in time, or it is given to others.",
          params: GroupId,
          body: TakeBody,
          response: { 200: answered("what was taken; perhaps nothing", TakenOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { member = UNNAMED_MEMBER, count = 1, waitMs = 0, records = true } = request.body;
        const taken = await take(context, reply, {
          id: request.params.id,
          member,
          count,
          waitMs: Math.min(waitMs, limits.frameWaitMsMax),
          records,
        });
        if (taken === undefined) {
          reply.hijack();
          return;
        }
        const headers = ["Content-Type", "application/json", "Cache-Control", "no-store"];
        answers.bytes(reply, 200, headers, Buffer.from(takenText(taken)));
      },
    );
    routes.post(
      `${GROUP_PATH}/settle`,
      {
        schema: {
          tags: ["groups"],
          summary: "Say what became of records: done, not now, or not done yet",
          description: "`fenced`: of none of them was the lease current.",
          params: GroupId,
          body: SettleBody,
          response: { 200: answered("settled, but for those refused", SettledOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { settlements: items } = request.body;
        const incarnation = await incarnationOf(context);
        const settlements = items.map((item): GroupSettlement => {
          const { stream, count = 1, generation } = item;
          const place = parsePlace(item.offset);
          return {
            stream,
            incarnation: place.incarnation ?? incarnation(stream),
            offset: place.offset,
            count,
            generation,
            outcome: outcomeOf(item),
          };
        });
        const result = await node.propose({ kind: "group-settle", id: request.params.id, settlements });
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "group-settled") throw unexpectedResult(result);
        const refused = result.refused.flatMap(({ item, offset, count }) => {
          const settlement = settlements[item];
          if (settlement === undefined) return [];
          return [{ stream: settlement.stream, offset, count, generation: settlement.generation }];
        });
        answers.json(reply, 200, [], { refused });
      },
    );
  });
}

function outcomeOf({ outcome, delayMs, reason, leaseMs }: SettleItem): GroupOutcome {
  if (outcome !== "nack" && (delayMs !== undefined || reason !== undefined))
    throw new HttpError("malformed-request", "delayMs and reason are a nack's");
  if (outcome !== "extend" && leaseMs !== undefined) throw new HttpError("malformed-request", "leaseMs is an extend's");
  switch (outcome) {
    case "ack":
    case "release":
      return { kind: outcome };
    case "nack":
      return { kind: outcome, ...(delayMs !== undefined && { delayMs }), ...(reason !== undefined && { reason }) };
    case "extend":
      return { kind: outcome, ...(leaseMs !== undefined && { leaseMs }) };
    default:
      return unreachable(outcome);
  }
}

/** Records are texts already: they have been through no parser, so that their numbers are as they were written. */
function takenText({ generation, untilMs, leases, records }: Taken): string {
  const shownLeases = leases.map(({ stream, incarnation, offset, count, attempt }) => ({
    stream,
    offset,
    token: formatOffset(incarnation, offset),
    generation,
    attempt,
    count,
  }));
  const head = JSON.stringify({ generation, untilMs, leases: shownLeases });
  if (records === undefined) return head;
  const texts = records.map(({ text, offset, lease: { stream, incarnation, attempt } }) => {
    const lease = JSON.stringify({ stream, token: formatOffset(incarnation, offset), generation, attempt });
    return `${lease.slice(0, -1)},${text.slice(1)}`;
  });
  return `${head.slice(0, -1)},"records":[${texts.join(",")}]}`;
}
