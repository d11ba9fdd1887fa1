/**
 * `/v1/verify`: whether all of this node's log is what was written. It is read at once, faster than the scrub does by
 * itself; what is found is made good meanwhile, where other nodes have it.
 */
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "../context.ts";
import { answered, Count, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";

export const VERIFY_PATH = "/v1/verify";

const Begun = Type.Object({ pass: Type.Integer({ description: "it is over when `passes` has reached this" }) });

const Found = Type.Object({
  kind: Type.String({ enum: ["entry", "batch", "index", "segment", "snapshot"] }),
  message: Type.String(),
  segment: Type.Optional(Count),
  firstIndex: Type.Optional(Count),
  lastIndex: Type.Optional(Count),
});

const Verified = Type.Object({
  passes: Type.Integer({ description: "through the whole log, since this node started" }),
  underWay: Type.Boolean(),
  bytes: Type.Integer({ description: "read by all passes" }),
  checked: Type.Integer({ description: "segments that the pass under way has read, …" }),
  segments: Type.Integer({ description: "… of so many" }),
  damage: Type.Array(Found, { description: "known now, and refused to whoever reads it" }),
  repaired: Type.Integer({ description: "entries and batches that other nodes gave back, since this node started" }),
});

export function registerVerifyRoutes(server: FastifyInstance, { node, answers }: HttpContext): void {
  registerTyped(server, (routes) => {
    routes.post(
      VERIFY_PATH,
      {
        schema: {
          tags: ["operations"],
          summary: "Read all of this node's log, now",
          response: { 202: answered("it has begun", Begun), ...PROBLEMS },
        },
      },
      (_request, reply) => answers.json(reply, 202, ["Cache-Control", "no-store"], { pass: node.verify() }),
    );
    routes.get(
      VERIFY_PATH,
      {
        schema: {
          tags: ["operations"],
          summary: "What is known to be damaged on this node's disk",
          response: { 200: answered("what was read and found", Verified), ...PROBLEMS },
        },
      },
      (_request, reply) => {
        const { scrub, damage, repair } = node.status();
        const found = damage.map(({ kind, message, segment, firstIndex, lastIndex }) => ({
          kind,
          message,
          segment,
          firstIndex,
          lastIndex,
        }));
        const repaired = (repair?.entries ?? 0) + (repair?.batches ?? 0);
        answers.json(reply, 200, ["Cache-Control", "no-store"], { ...scrub, damage: found, repaired });
      },
    );
  });
}
