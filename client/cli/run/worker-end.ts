/** What the end of a replica means for its worker, and for the others. */
import { EXIT } from "../exit-codes.ts";
import { counted } from "../output.ts";
import { messageOf } from "../../../src/lib/thrown.ts";
import { placeText } from "../../../src/operators/engine/poison-place.ts";
import type { Divergence, ReplicaEnd } from "../../../src/runtime/replica-end.ts";
import { placeOf } from "../apps/app-module.ts";
import type { WorkerEnd } from "./worker-messages.ts";

/** Undefined: the replica alone is concerned, and the worker goes on with its other tasks. */
export function workerEnd(task: string, end: ReplicaEnd): WorkerEnd | undefined {
  switch (end.kind) {
    case "stopped":
    case "contradicted":
      return undefined;
    case "fenced":
      return { what: "another version of the app was deployed, or it was reset", next: "deploy" };
    case "gone":
      return { what: "the app was deleted", next: "end", exitCode: EXIT.notFound };
    case "poison": {
      const { operator, at, error } = end.poison;
      const place = placeOf(error);
      const what = `task ${task}: operator "${operator}" failed ${placeText(at)}: ${messageOf(error)}`;
      return { what: place === undefined ? what : `${what} (${place})`, next: "end", exitCode: EXIT.failure };
    }
    case "input-trimmed": {
      const { stream, from, to } = end;
      const what = `task ${task}: offsets ${from} to ${to - 1} of ${stream}, which it had not read, are gone, and no snapshot has what came of them; "tidemark apps reset" begins anew with what is left`;
      return { what, next: "end", exitCode: EXIT.notFound };
    }
    case "diverged":
      return { what: divergedText(end.divergence), next: "never", exitCode: EXIT.failure };
    case "failed":
      return { what: `task ${task}: ${messageOf(end.error)}`, next: "again" };
  }
}

function divergedText({ app, task, inputs, made, committed }: Divergence): string {
  const places = inputs.map(({ stream, offset }) => `${stream}, offset ${offset}`).join("; ");
  const upTo = places === "" ? "before its first record" : `up to ${places}`;
  const outcome =
    made === committed
      ? `${counted(made, "output")}, as many as are committed, but other ones or of other state`
      : `${counted(made, "output")}, and ${committed} are committed`;
  return `app-diverged: app "${app}", task ${task}: ${upTo}, it makes ${outcome}. The code, or what it depends on, has changed without a new version, or it is not deterministic. A higher version goes on behind what is committed; "tidemark apps reset ${app}" begins anew`;
}
