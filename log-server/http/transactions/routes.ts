/** `POST /v1/transactions`: several changes to several streams and cursors, all or none, at one position (I11). */
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import { formatOffset } from "../../../src/record/offset.ts";
import type { CommandResult } from "../../../src/wire/command.ts";
import type { HttpContext } from "../context.ts";
import { admitCommand } from "../native/admit-command.ts";
import { countAppends } from "../native/command-lane.ts";
import { appendedJson } from "../records/append.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { TransactionBody, transactionCommand } from "./input.ts";

export const TRANSACTIONS_PATH = "/v1/transactions";

const TransactionOut = Type.Object({
  results: Type.Array(
    Type.Object(
      {
        created: Type.Optional(Type.Boolean({ description: "false: it was there, and just so" })),
        offset: Type.Optional(Type.Integer({ description: "of the first record appended" })),
        next: Type.Optional(Type.Integer()),
        token: Type.Optional(Type.String()),
        closed: Type.Optional(Type.Boolean()),
        duplicate: Type.Optional(Type.Boolean()),
      },
      { description: "of a create or an append; of others it is empty" },
    ),
    { description: "one for each operation, in order" },
  ),
});

export function registerTransactionRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, answers } = context;
  registerTyped(server, (routes) => {
    routes.post(
      TRANSACTIONS_PATH,
      {
        schema: {
          tags: ["transactions"],
          summary: "Several changes, all or none",
          description: "The first condition or operation that does not hold refuses the whole.",
          body: TransactionBody,
          response: { 200: answered("all of it took effect", TransactionOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        // Only so that what is refused here is refused rightly: what counts is decided when it is applied (I9).
        await node.barrier();
        const command = admitCommand(context, await transactionCommand(context, request.body));
        const result = await node.propose(command);
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "transaction") throw unexpectedResult(result);
        countAppends(context, command, result);
        answers.json(reply, 200, [], { results: result.results.map(resultJson) });
      },
    );
  });
}

function resultJson(result: CommandResult): object {
  switch (result.kind) {
    case "created": {
      const { created, incarnation, nextOffset, closed } = result;
      return { created, next: nextOffset, token: formatOffset(incarnation, nextOffset), closed };
    }
    case "appended":
      return appendedJson(result);
    default:
      return {};
  }
}
