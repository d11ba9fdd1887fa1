/**
 * What a client may ask for in a command frame (SPEC.md, W32, W33). Some commands are only for servers to make: they
 * carry what a leader has decided or checked (`tick`, `touch`, a subscription's wake-ups; a webhook's address). The
 * state machine decides all that depends on state; this is what must hold of a command by itself.
 */
import { unreachable } from "../lib/assert.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Command, Condition } from "./command.ts";
import { checkStreamName } from "./stream-name.ts";

export type AdmissionError = {
  readonly code: "malformed-command" | "malformed-name" | "url-too-long";
  readonly message: string;
};

/** `type/subtype` and perhaps parameters, in printable ASCII: it is repeated in HTTP headers. */
const CONTENT_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+ *(?:;[ -~]*)?$/;

export function admitCommand(command: Command): Result<Command, AdmissionError> {
  const error = objection(command);
  return error === undefined ? ok(command) : err(error);
}

function objection(command: Command): AdmissionError | undefined {
  switch (command.kind) {
    case "create":
      return (
        nameObjection(command.stream) ??
        contentTypeObjection(command.contentType) ??
        (command.fork && nameObjection(command.fork.source))
      );
    case "append":
      if (command.batch === undefined && !command.close) return malformed("an append has a batch, or closes, or both");
      return nameObjection(command.stream) ?? contentTypeObjection(command.contentType);
    case "delete":
    case "settings":
    case "trim":
      return nameObjection(command.stream);
    case "cursor":
      return command.name === "" ? malformed("a cursor has a name") : undefined;
    case "transaction":
      return firstObjection(command.conditions, conditionObjection) ?? firstObjection(command.operations, objection);
    case "touch":
    case "tick":
    case "subscription-create":
    case "subscription-delete":
    case "subscription-link":
    case "subscription-unlink":
    case "subscription-wake":
    case "subscription-claim":
    case "subscription-ack":
    case "subscription-release":
    case "subscription-failed":
      return malformed(`a "${command.kind}" command does not come in a frame`);
    default:
      return unreachable(command);
  }
}

function conditionObjection(condition: Condition): AdmissionError | undefined {
  return condition.kind === "cursor" ? undefined : nameObjection(condition.stream);
}

function nameObjection(name: string): AdmissionError | undefined {
  const checked = checkStreamName(name);
  return checked.ok ? undefined : checked.error;
}

function contentTypeObjection(contentType: string | undefined): AdmissionError | undefined {
  return contentType === undefined || CONTENT_TYPE.test(contentType)
    ? undefined
    : malformed("the content type is not one");
}

function firstObjection<T>(
  parts: readonly T[],
  check: (part: T) => AdmissionError | undefined,
): AdmissionError | undefined {
  for (const part of parts) {
    const error = check(part);
    if (error !== undefined) return error;
  }
  return undefined;
}

function malformed(message: string): AdmissionError {
  return { code: "malformed-command", message };
}
