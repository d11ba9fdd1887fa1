/** `POST /v1/apps/{app}/reset`: tasks begin anew, and streams go with that; or, as a dry run, would. */
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import { BEFORE_RECORDS } from "../../../src/record/record-place.ts";
import type { TaskStart } from "../../../src/wire/app-command.ts";
import type { AppTaskInfo } from "../../../src/wire/app-look-up.ts";
import type { Command } from "../../../src/wire/command.ts";
import { inputBegins, lostInput, type LostInput } from "../../../src/wire/lost-input.ts";
import type { AppView } from "../../streams/apps/app-views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { findApp } from "../native/answer-apps.ts";
import { rejectionError } from "../rejection-answer.ts";
import { answered, Count, PROBLEMS } from "../schemas.ts";
import { registerTyped } from "../typed-routes.ts";
import { RecordPlaceJson, TaskPlaceOut, taskPlaceJson } from "./app-json.ts";
import { APP_PATH, AppId } from "./paths.ts";

const ResetBody = Type.Object(
  {
    tasks: Type.Optional(
      Type.Array(
        Type.Object(
          { task: Type.String(), start: Type.Optional(RecordPlaceJson) },
          { additionalProperties: false, description: "without a start it begins before the first record" },
        ),
        { minItems: 1, description: "only these; default: all" },
      ),
    ),
    deleteStreams: Type.Optional(Type.Array(Type.String(), { description: "go in the same transaction" })),
    dryRun: Type.Optional(Type.Boolean({ description: "changes nothing" })),
  },
  { additionalProperties: false },
);
type ResetInput = Static<typeof ResetBody>;

const ResetOut = Type.Object({
  dryRun: Type.Boolean(),
  tasks: Type.Array(
    Type.Object({
      task: Type.String(),
      from: TaskPlaceOut,
      to: TaskPlaceOut,
    }),
  ),
  deletedStreams: Type.Array(Type.String()),
  gone: Type.Array(
    Type.Object({
      stream: Type.String(),
      from: Count,
      to: Type.Integer({ minimum: 0, description: "behind the last" }),
    }),
    {
      description:
        "offsets that tasks which begin before the first record had to read, and that were no longer kept: nothing comes of them again. Of a stream that was deleted and made anew, what the deleted one had is not among it",
    },
  ),
  missing: Type.Array(Type.String(), {
    description: "inputs of theirs that did not exist: nothing comes of them again, if they ever did",
  }),
});

export function registerResetRoute(server: FastifyInstance, context: HttpContext): void {
  const { node, answers } = context;
  registerTyped(server, (routes) => {
    routes.post(
      `${APP_PATH}/reset`,
      {
        schema: {
          tags: ["apps"],
          summary: "Begin tasks anew, without what they have done so far",
          params: AppId,
          body: ResetBody,
          response: { 200: answered("where they were and where they are; or would be", ResetOut), ...PROBLEMS },
        },
      },
      async (request, reply) => {
        const { app } = request.params;
        const { dryRun = false, deleteStreams = [] } = request.body;
        await node.barrier();
        const starts = startsOf(findApp(context, app), request.body);
        const tasks = starts.map(({ task, start, known }) => ({
          task,
          from: taskPlaceJson(known.place),
          to: taskPlaceJson({ cursor: start, outputs: 0 }),
        }));
        for (const stream of deleteStreams)
          if (node.machine.stream(stream)?.deleted !== false)
            throw new HttpError("stream-not-found", `there is no stream "${stream.toWellFormed()}"`);
        const lost = lostBy(context, app, starts);
        if (!dryRun) {
          const result = await node.propose(resetCommand(app, starts, deleteStreams));
          if (result.kind === "rejected") throw rejectionError(result);
        }
        answers.json(reply, 200, [], { dryRun, tasks, deletedStreams: deleteStreams, ...lost });
      },
    );
  });
}

type Start = TaskStart & { readonly known: AppTaskInfo };

function startsOf({ app, tasks, task: taskOf }: AppView, input: ResetInput): readonly Start[] {
  if (input.tasks === undefined) return tasks().map((known) => ({ task: known.task, start: BEFORE_RECORDS, known }));
  return input.tasks.map(({ task, start = BEFORE_RECORDS }) => {
    const known = taskOf(task);
    if (known === undefined)
      throw new HttpError("app-not-found", `the app "${app}" has no task "${task.toWellFormed()}"`);
    return { task, start, known };
  });
}

function lostBy({ node }: HttpContext, app: string, starts: readonly Start[]): LostInput {
  return lostInput(inputBegins(app, starts), (name) => {
    const stream = node.machine.stream(name);
    return stream?.deleted === false ? stream.firstOffset : undefined;
  });
}

function resetCommand(app: string, starts: readonly Start[], deleteStreams: readonly string[]): Command {
  const tasks = starts.map(({ task, start }) => ({ task, start }));
  const deletions = deleteStreams.map((stream) => ({ kind: "delete", stream }) as const);
  return { kind: "transaction", conditions: [], operations: [{ kind: "app-reset", app, tasks }, ...deletions] };
}
