/** What members of a group of mode `partitions` ask: join, leave, heartbeat, and how far they are. */
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { Command } from "../../../src/wire/command.ts";
import type { GroupAck, GroupAssignedResult } from "../../../src/wire/group-command.ts";
import type { HttpContext } from "../context.ts";
import { parsePlace } from "../places.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, answeredEmpty, Count, Place, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { AssignedOut, assignedJson } from "./group-json.ts";
import { incarnationOf } from "./incarnation-of.ts";
import { GROUP_PATH, GroupId } from "./paths.ts";

const JoinBody = Type.Object({ member: Type.String() }, { additionalProperties: false });

const SESSION = { member: Type.String(), session: Count };
const SessionBody = Type.Object(SESSION, { additionalProperties: false });

const AckBody = Type.Object(
  {
    ...SESSION,
    acks: Type.Array(
      Type.Object(
        {
          stream: Type.String(),
          generation: Type.Integer({ minimum: 0, description: "of the assignment" }),
          offset: Place,
        },
        { additionalProperties: false, description: "everything before the offset is processed" },
      ),
    ),
  },
  { additionalProperties: false },
);

const AckedOut = Type.Object({
  refused: Type.Array(Type.Object({ stream: Type.String(), generation: Count }), {
    description: "streams that are not the member's any more; the others are acknowledged",
  }),
});

export function registerMemberRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, answers } = context;
  const assigned = async (command: Command): Promise<GroupAssignedResult> => {
    const result = await node.propose(command);
    if (result.kind === "rejected") throw rejectionError(result);
    if (result.kind !== "group-assigned") throw unexpectedResult(result);
    return result;
  };

  registerTyped(server, (routes) => {
    routes.post(
      `${GROUP_PATH}/join`,
      {
        schema: {
          tags: ["groups"],
          summary: "Become a member: get a session, and a share of the streams",
          description: "An earlier session of the same name is over.",
          params: GroupId,
          body: JoinBody,
          response: { 200: answered("the member's share", AssignedOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const result = await assigned({ kind: "group-join", id: request.params.id, ...request.body });
        answers.json(reply, 200, [], assignedJson(result));
      },
    );
    routes.post(
      `${GROUP_PATH}/heartbeat`,
      {
        schema: {
          tags: ["groups"],
          summary: "Stay a member, and hear what the share is now",
          description: "`fenced`: the session is over; to go on, join again.",
          params: GroupId,
          body: SessionBody,
          response: { 200: answered("the member's share", AssignedOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const result = await assigned({ kind: "group-heartbeat", id: request.params.id, ...request.body });
        answers.json(reply, 200, [], assignedJson(result));
      },
    );
    routes.post(
      `${GROUP_PATH}/leave`,
      {
        schema: {
          tags: ["groups"],
          summary: "Be a member no more: the share goes to the others at once",
          params: GroupId,
          body: SessionBody,
          response: { 204: answeredEmpty("left"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const result = await node.propose({ kind: "group-leave", id: request.params.id, ...request.body });
        if (result.kind === "rejected") throw rejectionError(result);
        answers.empty(reply, 204, []);
      },
    );
    routes.post(
      `${GROUP_PATH}/ack`,
      {
        schema: {
          tags: ["groups"],
          summary: "Commit how far the member is in its streams; also a heartbeat",
          params: GroupId,
          body: AckBody,
          response: { 200: answered("acknowledged, but for those refused", AckedOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const { acks, ...session } = request.body;
        const result = await node.propose({
          kind: "group-ack",
          id,
          ...session,
          acks: await ackItems(context, acks),
        });
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "group-settled") throw unexpectedResult(result);
        const refused = result.refused.flatMap(({ item }) => {
          const ack = acks[item];
          return ack === undefined ? [] : [{ stream: ack.stream, generation: ack.generation }];
        });
        answers.json(reply, 200, [], { refused });
      },
    );
  });
}

async function ackItems(context: HttpContext, acks: Static<typeof AckBody>["acks"]): Promise<readonly GroupAck[]> {
  const incarnation = await incarnationOf(context);
  return acks.map(({ stream, generation, offset }) => {
    const place = parsePlace(offset);
    return { stream, generation, incarnation: place.incarnation ?? incarnation(stream), offset: place.offset };
  });
}
