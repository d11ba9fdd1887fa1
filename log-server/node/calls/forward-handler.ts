/**
 * The leader's side of forwarding: takes other nodes' commands in the order in which they were sent, proposes them like
 * its own, and answers when they are applied. What it does not take it says so of, and then takes nothing of that sender
 * that was sent behind it: the sender begins a new run once it knows.
 */
import { err, ok } from "../../../src/lib/result.ts";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import {
  decodeForward,
  encodeForwardAnswer,
  type ForwardAnswer,
  type ForwardOutcome,
  type ForwardPlace,
} from "./forward-codec.ts";
import { NodeError } from "../node-error.ts";

export interface ForwardTaker {
  /** This node leads and can apply what it proposes. */
  takesCommands(): boolean;
  /** Like `LogNode.propose`, but refused as `not-leader` where this node leads no more. */
  proposeHere(command: Command): Promise<CommandResult>;
  position(): LogIndex;
}

export class ForwardHandler {
  readonly #taker: ForwardTaker;
  /** By sender: what comes next. Other nodes only, and only while this one leads. */
  readonly #next = new Map<string, ForwardPlace>();

  constructor(taker: ForwardTaker) {
    this.#taker = taker;
  }

  /** This node leads no more. */
  reset(): void {
    this.#next.clear();
  }

  async handle(from: string, body: Uint8Array): Promise<readonly Uint8Array[]> {
    return [encodeForwardAnswer(await this.#answer(from, body))];
  }

  async #answer(from: string, body: Uint8Array): Promise<ForwardAnswer> {
    const request = decodeForward(body);
    if (request === undefined) return { status: "malformed" };
    if (!this.#taker.takesCommands()) {
      this.#next.delete(from);
      return { status: "not-leader" };
    }
    if (!this.#follows(from, request)) return { status: "out-of-order" };
    const outcomes = await Promise.all(request.commands.map((command) => this.#propose(from, command)));
    return { status: "done", position: this.#taker.position(), outcomes };
  }

  #follows(from: string, { run, sequence }: ForwardPlace): boolean {
    const next = this.#next.get(from);
    if (sequence !== 0 && (next?.run !== run || next.sequence !== sequence)) return false;
    this.#next.set(from, { run, sequence: sequence + 1 });
    return true;
  }

  async #propose(from: string, command: Command): Promise<ForwardOutcome> {
    try {
      return ok(await this.#taker.proposeHere(command));
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      if (error.code === "not-leader") this.#next.delete(from);
      return err(error);
    }
  }
}
