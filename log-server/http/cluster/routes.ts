/** `/v1/cluster`: which nodes there are, and changes of that. Any node takes them; the leader does them. */
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "../context.ts";
import { answered, answeredEmpty, Count, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";

const CLUSTER_PATH = "/v1/cluster";
const MEMBERS_PATH = `${CLUSTER_PATH}/members`;
const MEMBER_PATH = `${MEMBERS_PATH}/:node`;
const HOST_LENGTH_MAX = 255;
const PORT_MAX = 65_535;

const Name = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" });
const Host = Type.String({ minLength: 1, maxLength: HOST_LENGTH_MAX, description: "where it listens for other nodes" });
const Port = Type.Integer({ minimum: 1, maximum: PORT_MAX });

const Status = Type.Object({
  cluster: Type.String(),
  node: Type.String({ description: "whose view this is" }),
  leader: Type.Optional(Type.String()),
  term: Count,
  committed: Count,
  applied: Count,
  standsBack: Type.Array(Type.String({ enum: ["drained", "clock", "disk"] }), {
    description: "why this node is not to lead",
  }),
  featureLevel: Count,
  changing: Type.Boolean({ description: "a change of who votes is under way; told by the leader" }),
  members: Type.Array(
    Type.Object({
      node: Type.String(),
      role: Type.String({ enum: ["voter", "learner", "joining", "leaving"] }),
      leads: Type.Boolean(),
      host: Type.Optional(Type.String()),
      port: Type.Optional(Count),
      lag: Type.Optional(
        Type.Integer({ minimum: 0, description: "entries; only the leader knows them of the others" }),
      ),
      silentMs: Type.Optional(Count),
      snapshot: Type.Optional(
        Type.Object({ bytes: Count, sentBytes: Count }, { description: "on its way to it; told by the leader" }),
      ),
      standsBack: Type.Optional(Type.Boolean({ description: "it is not to lead; told by the leader, and of itself" })),
      supports: Type.Optional(Type.Integer({ minimum: 1, description: "the newest feature level that it knows" })),
      clockAheadMs: Type.Optional(Type.Integer({ description: "of the clock of the node that is asked" })),
    }),
  ),
});

const MemberName = Type.Object({ node: Name });

const Added = Type.Object(
  {
    node: Name,
    host: Host,
    port: Port,
    votes: Type.Optional(Type.Boolean({ description: "once it has caught up; default: true" })),
  },
  { additionalProperties: false },
);

const Replacement = Type.Object(
  { host: Type.Optional(Host), port: Type.Optional(Port) },
  { additionalProperties: false, description: "where the new one listens, if that is another place: both or none" },
);

const Transfer = Type.Object(
  { to: Type.Optional(Type.String({ description: "default: whoever has most of the log" })) },
  { additionalProperties: false },
);

export function registerClusterRoutes(server: FastifyInstance, { node, answers }: HttpContext): void {
  registerTyped(server, (routes) => {
    routes.get(
      CLUSTER_PATH,
      {
        schema: {
          tags: ["cluster"],
          summary: "Show the cluster as this node sees it, with what the leader says of the others",
          response: { 200: answered("the cluster", Status), ...PROBLEMS },
        },
      },
      async (_request, reply) => answers.json(reply, 200, ["Cache-Control", "no-store"], await node.clusterView()),
    );
    routes.post(
      MEMBERS_PATH,
      {
        schema: {
          tags: ["cluster"],
          summary: "Add a member, which votes once it has caught up; or tell a new address of one",
          body: Added,
          response: { 204: answeredEmpty("it is a member, perhaps still to catch up"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { node: name, host, port, votes = true } = request.body;
        await node.changeCluster({ kind: "add", node: name, address: { host, port }, votes });
        answers.empty(reply, 204, []);
      },
    );
    routes.delete(
      MEMBER_PATH,
      {
        schema: {
          tags: ["cluster"],
          summary: "Remove a member, but the leader",
          params: MemberName,
          response: { 204: answeredEmpty("it is no member any more"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        await node.changeCluster({ kind: "remove", node: request.params.node });
        answers.empty(reply, 204, []);
      },
    );
    routes.post(
      `${MEMBER_PATH}/replace`,
      {
        schema: {
          tags: ["cluster"],
          summary: "Let a member that lost its data begin anew, under its name",
          params: MemberName,
          body: Replacement,
          response: { 204: answeredEmpty("an empty node may come under this name"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { host, port } = request.body;
        const address = host === undefined || port === undefined ? undefined : { host, port };
        await node.changeCluster({ kind: "replace", node: request.params.node, address });
        answers.empty(reply, 204, []);
      },
    );
    for (const [method, undo] of [
      ["post", false],
      ["delete", true],
    ] as const)
      routes[method](
        `${MEMBER_PATH}/drain`,
        {
          schema: {
            tags: ["cluster"],
            summary: undo ? "Let a drained member lead again" : "Move leadership off a member, and keep it off",
            params: MemberName,
            response: {
              204: answeredEmpty(undo ? "it may lead" : "it does not lead, until undone or restarted"),
              ...PROBLEMS,
            },
          },
        },
        async (request, reply) => {
          await node.changeCluster({ kind: "drain", node: request.params.node, undo });
          answers.empty(reply, 204, []);
        },
      );
    routes.post(
      `${CLUSTER_PATH}/transfer`,
      {
        schema: {
          tags: ["cluster"],
          summary: "Hand leadership over",
          body: Transfer,
          response: { 204: answeredEmpty("another node leads"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        await node.changeCluster({ kind: "transfer", node: request.body.to });
        answers.empty(reply, 204, []);
      },
    );
    routes.post(
      `${CLUSTER_PATH}/upgrade`,
      {
        schema: {
          tags: ["cluster"],
          summary: "Raise the feature level to what all members support",
          response: { 204: answeredEmpty("it is as high as it can be, for good"), ...PROBLEMS },
        },
      },
      async (_request, reply) => {
        await node.changeCluster({ kind: "upgrade" });
        answers.empty(reply, 204, []);
      },
    );
  });
}
