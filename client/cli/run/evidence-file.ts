/** What replicas differ in, for whoever must look into it: a line that says where, and a file with all that is known. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../src/lib/thrown.ts";
import { type Evidence, evidenceText } from "../../../src/runtime/evidence.ts";
import type { TaskName } from "../../../src/wire/app-command.ts";

const JSON_INDENT = 2;

/** `contradicted`: most are against this replica, which ends; otherwise nobody can tell which is wrong, and all go on. */
export function reportEvidence(folder: string, task: TaskName, evidence: Evidence, contradicted: boolean): void {
  const verdict = contradicted
    ? "most replicas have something else than this one, which ends; the others go on"
    : "replicas differ, and no majority says which is wrong; all go on";
  const kept = keep(folder, task, evidence);
  process.stderr.write(`tidemark: task ${task}: ${verdict}; ${evidenceText(evidence)}; ${kept}\n`);
}

function keep(folder: string, task: TaskName, evidence: Evidence): string {
  const file = join(folder, `${task}-${evidence.replica}.json`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const found = { task, time: new Date().toISOString(), ...evidence };
    writeFileSync(file, `${JSON.stringify(found, undefined, JSON_INDENT)}\n`, { mode: 0o600 });
    return `evidence in ${file}`;
  } catch (error) {
    return `the evidence could not be kept: ${messageOf(error)}`;
  }
}
