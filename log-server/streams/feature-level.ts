/**
 * What all nodes of a cluster apply alike: whatever a later version decides otherwise it does so only from where the log has raised
 * this level on, which happens once every member supports it (P26). It never goes down.
 *
 *     1   the beginning; also where the log says nothing
 *     2   the disks of former members are remembered, and refused as such (W190)
 *     3   there are apps and tasks (W200)
 *     4   what a deployed app's tasks cannot go on without is kept from others (W216)
 *     5   so are its dead letters, none of these streams is made so that it goes by itself (W218), and only its tasks write to
 *         what they go on with, and trim it (W219);
 *         an app that differs in its description alone is no other (W200)
 */
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import { APP_KIND_NUMBERS } from "../../src/wire/app-command-codec.ts";
import type { Command, CommandResult, FeatureLevelCommand } from "../../src/wire/command.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";
import type { State } from "./state.ts";

export const FEATURE_LEVEL_OLDEST = 1;
/** What this version supports. A node of it applies no entry behind one that asks for more. */
export const FEATURE_LEVEL_NEWEST = 5;
/** From here on. */
export const LEVEL_OF_FORMER_DISKS = 2;
const LEVEL_OF_APPS = 3;
export const LEVEL_OF_APP_STREAMS = 4;
export const LEVEL_OF_LASTING_APP_STREAMS = 5;
export const LEVEL_OF_FREE_DESCRIPTIONS = 5;
export const LEVEL_OF_TASK_WRITES = 5;

/** What to say where a cluster has gone on without this version. */
export function unsupportedLevel(level: number): string {
  return `the cluster is at feature level ${level}, and this version supports up to ${FEATURE_LEVEL_NEWEST}: install a newer one`;
}

/** From which level on it may be in the log: who supports less cannot read it, and would have to stop there. */
export function levelOf(command: Command): number {
  if (command.kind !== "transaction") return levelOfKind(command.kind);
  return command.operations.reduce((level, { kind }) => Math.max(level, levelOfKind(kind)), FEATURE_LEVEL_OLDEST);
}

function levelOfKind(kind: Command["kind"]): number {
  if (kind === "task-statement" || kind === "task-trim") return LEVEL_OF_TASK_WRITES;
  return kind in APP_KIND_NUMBERS ? LEVEL_OF_APPS : FEATURE_LEVEL_OLDEST;
}

export class FeatureLevelRow extends RowOwner {
  /** 0: the log has said nothing. */
  level = 0;

  override rowKey(): Uint8Array {
    return Uint8Array.of(FAMILY.featureLevel);
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writer.varint(this.level));
  }
}

/** False for what is no row of it. */
export function restoreFeatureLevel(row: FeatureLevelRow, reader: ByteReader): boolean {
  row.level = reader.varint();
  return reader.complete && row.level >= FEATURE_LEVEL_OLDEST;
}

/** A level that this version does not support is kept, too: what must not happen then is that it applies what follows. */
export function raiseFeatureLevel(state: State, { level }: FeatureLevelCommand): CommandResult {
  const { featureLevel, ledger } = state;
  if (level > featureLevel.level) {
    featureLevel.level = level;
    state.memberChanges += 1;
    ledger.put(featureLevel);
  }
  return { kind: "done" };
}
