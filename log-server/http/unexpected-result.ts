/** A command answered with another command's result: a fault in the state machine, never a client's. */
import { InvariantError } from "../../src/lib/assert.ts";
import type { CommandResult } from "../../src/wire/command.ts";

export function unexpectedResult(result: CommandResult): InvariantError {
  return new InvariantError(`a command was answered with "${result.kind}"`);
}
