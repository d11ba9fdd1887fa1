/**
 * Commands of one sender, proposed in the order in which they came, however many are under way. Usually each is proposed
 * at once. Only one whose stream is not there yet waits until those before it are applied, for one of them may create
 * it; what comes behind it waits too.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { AppendedRunResult, AppendRunCommand, Command, CommandResult } from "../../../src/wire/command.ts";
import type { Response } from "../../../src/wire/response.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { admitCommand } from "./admit-command.ts";
import { errorResponse } from "./error-response.ts";

type Waiting = { readonly command: Command; readonly resolve: (answer: Response | Promise<Response>) => void };

export class CommandLane {
  readonly #context: HttpContext;
  /** Bounded by what the sender may have under way. */
  readonly #waiting: Waiting[] = [];
  #draining = false;
  #proposed = 0;
  #onIdle: (() => void) | undefined;

  constructor(context: HttpContext) {
    this.#context = context;
  }

  /** Resolves to the command's answer; never rejects. */
  submit(command: Command): Promise<Response> {
    if (this.#waiting.length === 0) {
      const admitted = tryAdmit(this.#context, command);
      if (!isEarly(admitted)) return this.#propose(admitted);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ command, resolve });
      if (!this.#draining) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      let admitted = tryAdmit(this.#context, next.command);
      if (isEarly(admitted)) admitted = await this.#admitBehindOthers(next.command);
      next.resolve(this.#propose(admitted));
      this.#waiting.shift();
    }
    this.#draining = false;
  }

  async #admitBehindOthers(command: Command): Promise<Result<Command, unknown>> {
    if (this.#proposed > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    try {
      await this.#context.node.barrier();
    } catch (error) {
      return err(error);
    }
    return tryAdmit(this.#context, command);
  }

  /** One promise behind the node's: of a small append's cost they are a good part. */
  #propose(admitted: Result<Command, unknown>): Promise<Response> {
    if (!admitted.ok) return Promise.resolve(errorResponse(this.#context, admitted.error));
    const command = admitted.value;
    const { node } = this.#context;
    this.#proposed += 1;
    return node.propose(command).then(
      (result) => {
        this.#settled();
        countAppends(this.#context, command, result);
        return { kind: "result", position: node.position, result };
      },
      (error: unknown) => {
        this.#settled();
        return errorResponse(this.#context, error);
      },
    );
  }

  #settled(): void {
    this.#proposed -= 1;
    if (this.#proposed === 0) this.#onIdle?.();
  }
}

function tryAdmit(context: HttpContext, command: Command): Result<Command, unknown> {
  try {
    return ok(admitCommand(context, command));
  } catch (error) {
    return err(error);
  }
}

/** A stream that is not there may be one that a command just before creates. */
function isEarly(admitted: Result<Command, unknown>): boolean {
  return !admitted.ok && admitted.error instanceof HttpError && admitted.error.code === "stream-not-found";
}

/** What was appended by a command that took effect. */
export function countAppends(context: HttpContext, admitted: Command, result: CommandResult): void {
  if (admitted.kind === "append" && admitted.batch !== undefined && result.kind === "appended" && !result.duplicate) {
    context.observer.appended(admitted.batch.span, admitted.batch.length);
  } else if (
    admitted.kind === "create" &&
    admitted.batch !== undefined &&
    result.kind === "created" &&
    result.created
  ) {
    context.observer.appended(admitted.batch.span, admitted.batch.length);
  } else if (admitted.kind === "append-run" && result.kind === "appended-run") {
    countRun(context, admitted, result);
  } else if (admitted.kind === "transaction" && result.kind === "transaction") {
    admitted.operations.forEach((operation, place) =>
      countAppends(context, operation, result.results[place] ?? result),
    );
  }
}

function countRun(context: HttpContext, run: AppendRunCommand, { parts }: AppendedRunResult): void {
  let at = 0;
  for (const { count, result } of parts) {
    const end = at + count;
    if (result.kind === "appended" && !result.duplicate)
      for (let place = at; place < end; place += 1) {
        const batch = run.batches[place];
        if (batch !== undefined) context.observer.appended(batch.span, batch.length);
      }
    at = end;
  }
}
