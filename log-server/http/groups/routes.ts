/** `/v1/groups`: which consumer groups there are, and each as a whole. What members and takers ask has its own files. */
import type { FastifyInstance, FastifyReply } from "fastify";
import { Type } from "typebox";
import { atAskedLevel, reach } from "../consistency.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { HttpContext } from "../context.ts";
import { answerGroup } from "../native/answer-groups.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, answeredEmpty, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import {
  CreateGroupBody,
  createGroupCommand,
  DescribedGroup,
  describedGroupJson,
  ListedGroupOut,
  listedGroupJson,
} from "./group-json.ts";
import { listGroups } from "./list-groups.ts";
import { registerMemberRoutes } from "./member-routes.ts";
import { GROUP_PATH, GroupId, GROUPS_PATH } from "./paths.ts";
import { registerQueueRoutes } from "./queue-routes.ts";
import { registerResetRoute } from "./reset.ts";

const ID_LENGTH_MAX = 256;

const ListQuery = Type.Object(
  {
    prefix: Type.Optional(Type.String({ maxLength: ID_LENGTH_MAX })),
    after: Type.Optional(Type.String({ maxLength: ID_LENGTH_MAX, description: "the `next` of the page before" })),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);

const GroupPage = Type.Object({
  groups: Type.Array(ListedGroupOut),
  next: Type.Optional(Type.String({ description: "there are more; this is the `after` of the next page" })),
});

export function registerGroupRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, limits, answers } = context;

  registerTyped(server, (routes) => {
    routes.get(
      GROUPS_PATH,
      {
        schema: {
          tags: ["groups"],
          summary: "List groups, in order of their ids",
          querystring: ListQuery,
          response: { 200: answered("a page", GroupPage), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        await atAskedLevel(context, request.raw.headers, (level) => reach(context, level));
        const { prefix = "", after = "", limit = limits.listedGroupsMax } = request.query;
        const { groups, next } = listGroups(context, prefix, after, limit);
        answers.json(reply, 200, [], { groups: groups.map(listedGroupJson), ...(next !== undefined && { next }) });
      },
    );
    routes.put(
      GROUP_PATH,
      {
        schema: {
          tags: ["groups"],
          summary: "Create a group, or confirm that it is there and just so",
          params: GroupId,
          body: CreateGroupBody,
          response: {
            200: answered("it was there", DescribedGroup),
            201: answered("created", DescribedGroup),
            ...PROBLEMS,
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const result = await node.propose(createGroupCommand(id, request.body));
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "group-created") throw unexpectedResult(result);
        await describe(context, reply, result.created ? 201 : 200, id, "linearizable");
      },
    );
    routes.get(
      GROUP_PATH,
      {
        schema: {
          tags: ["groups"],
          summary: "Show a group: its members, and how far it is in each stream",
          params: GroupId,
          response: { 200: answered("the group", DescribedGroup), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await atAskedLevel(context, request.raw.headers, (level) => describe(context, reply, 200, id, level));
      },
    );
    routes.delete(
      GROUP_PATH,
      {
        schema: {
          tags: ["groups"],
          summary: "Delete a group; the streams stay as they are",
          params: GroupId,
          response: { 204: answeredEmpty("deleted"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const result = await node.propose({ kind: "group-delete", id: request.params.id });
        if (result.kind === "rejected") throw rejectionError(result);
        answers.empty(reply, 204, []);
      },
    );
  });
  registerMemberRoutes(server, context);
  registerQueueRoutes(server, context);
  registerResetRoute(server, context);
}

async function describe(
  context: HttpContext,
  reply: FastifyReply,
  status: number,
  id: string,
  level: Consistency,
): Promise<void> {
  const asked = { kind: "group", id, waitMs: 0, brief: false } as const;
  const group = await answerGroup(context, asked, (ms) => context.live.open(reply.raw, ms), level);
  context.answers.json(reply, status, [], describedGroupJson(group));
}
