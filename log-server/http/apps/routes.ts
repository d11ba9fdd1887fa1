/** `/v1/apps`: which apps are deployed, and each with its tasks. Its replicas commit by frames. */
import type { FastifyInstance, FastifyReply } from "fastify";
import { Type } from "typebox";
import type { Command } from "../../../src/wire/command.ts";
import type { Consistency } from "../../../src/wire/consistency.ts";
import { atAskedLevel } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { answerApp, answerApps } from "../native/answer-apps.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, answeredEmpty, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import { DeployBody, deployCommand, DescribedApp, describedAppJson, ListedAppOut, listedAppJson } from "./app-json.ts";
import { APP_PATH, AppId, APPS_PATH } from "./paths.ts";
import { registerResetRoute } from "./reset.ts";

const NAME_LENGTH_MAX = 256;

const ListQuery = Type.Object(
  {
    prefix: Type.Optional(Type.String({ maxLength: NAME_LENGTH_MAX })),
    after: Type.Optional(Type.String({ maxLength: NAME_LENGTH_MAX, description: "the `next` of the page before" })),
    limit: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  { additionalProperties: false },
);

const AppPage = Type.Object({
  apps: Type.Array(ListedAppOut),
  next: Type.Optional(Type.String({ description: "there are more; this is the `after` of the next page" })),
});

export function registerAppRoutes(server: FastifyInstance, context: HttpContext): void {
  const { node, limits, answers } = context;

  const describe = async (reply: FastifyReply, status: number, app: string, level: Consistency): Promise<void> => {
    const described = await answerApp(context, { kind: "app", app }, level);
    answers.json(reply, status, [], describedAppJson(described));
  };
  const change = async (command: Command): Promise<void> => {
    const result = await node.propose(command);
    if (result.kind === "rejected") throw rejectionError(result);
  };

  registerTyped(server, (routes) => {
    routes.get(
      APPS_PATH,
      {
        schema: {
          tags: ["apps"],
          summary: "List apps, in order of their names",
          querystring: ListQuery,
          response: { 200: answered("a page", AppPage), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { prefix = "", after = "", limit = limits.listedAppsMax } = request.query;
        const { apps, next } = await atAskedLevel(context, request.raw.headers, (level) =>
          answerApps(context, { kind: "apps", prefix, after, limit }, level),
        );
        answers.json(reply, 200, [], { apps: apps.map(listedAppJson), ...(next !== undefined && { next }) });
      },
    );
    routes.put(
      APP_PATH,
      {
        schema: {
          tags: ["apps"],
          summary: "Deploy an app, or confirm that it is deployed just so",
          params: AppId,
          body: DeployBody,
          response: {
            200: answered("it was deployed just so", DescribedApp),
            201: answered("deployed", DescribedApp),
            ...PROBLEMS,
          },
        },
      },
      async (request, reply) => {
        const { app } = request.params;
        const result = await node.propose(deployCommand(app, request.body));
        if (result.kind === "rejected") throw rejectionError(result);
        if (result.kind !== "app-epoch") throw unexpectedResult(result);
        await describe(reply, result.changed ? 201 : 200, app, "linearizable");
      },
    );
    routes.get(
      APP_PATH,
      {
        schema: {
          tags: ["apps"],
          summary: "Show an app and how its tasks stand",
          params: AppId,
          response: { 200: answered("the app", DescribedApp), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { app } = request.params;
        await atAskedLevel(context, request.raw.headers, (level) => describe(reply, 200, app, level));
      },
    );
    for (const [verb, paused] of [
      ["pause", true],
      ["resume", false],
    ] as const) {
      routes.post(
        `${APP_PATH}/${verb}`,
        {
          schema: {
            tags: ["apps"],
            summary: paused ? "Pause an app: commits of its tasks are refused" : "Let a paused app go on",
            params: AppId,
            response: { 204: answeredEmpty("it is so now"), ...PROBLEMS },
          },
        },
        async (request, reply) => {
          await change({ kind: "app-state", app: request.params.app, paused });
          answers.empty(reply, 204, []);
        },
      );
    }
    routes.delete(
      APP_PATH,
      {
        schema: {
          tags: ["apps"],
          summary: "Forget an app and how its tasks stand; streams stay as they are",
          params: AppId,
          response: { 204: answeredEmpty("deleted"), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        await change({ kind: "app-delete", app: request.params.app });
        answers.empty(reply, 204, []);
      },
    );
  });
  registerResetRoute(server, context);
}
