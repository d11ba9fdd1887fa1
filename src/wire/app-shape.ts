/**
 * What an app's topology is made of, as the log keeps it with the app: enough to see that another one would not go on with the state of
 * its tasks as this one made it. What callbacks do is not in it.
 */
import { utf8 } from "../lib/bytes.ts";
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import { readItems } from "./fields.ts";

/** A stage, or one of its nodes. */
export type ShapePart = {
  readonly stage: number;
  /** Of the node; a stage itself has one that no node has. */
  readonly name: string;
  /** Everything else about it, for people, too. */
  readonly text: string;
};

/** In the order of building, which is that of their outputs. */
export type AppShape = readonly ShapePart[];

const { textBytesMax: TEXT_BYTES_MAX } = COMMAND_LIMITS;

/** The first that is not the same, in words: of this stage, or of all of them. */
export function shapeDifference(was: AppShape, is: AppShape, stage?: number): string | undefined {
  const before = stage === undefined ? was : was.filter((part) => part.stage === stage);
  const after = stage === undefined ? is : is.filter((part) => part.stage === stage);
  const at = before.findIndex((part, place) => !isSame(part, after[place]));
  const changed = before[at];
  if (changed === undefined) {
    const added = after[before.length];
    return added === undefined ? undefined : `${named(added)} (${added.text}) is new`;
  }
  const now = after.find((part) => part.stage === changed.stage && part.name === changed.name);
  if (now === undefined) return `${named(changed)} (${changed.text}) is gone`;
  if (now.text !== changed.text) return `${named(changed)} was "${changed.text}" and is "${now.text}"`;
  // It is there as it was, so something else is where it stood.
  const instead = after[at] as ShapePart;
  return `${named(instead)} (${instead.text}) stands before ${named(changed)}`;
}

export function writeShape(writer: ByteWriter, shape: AppShape): void {
  writer.varint(shape.length);
  for (const { stage, name, text } of shape) writer.varint(stage).string(name).string(text);
}

export function readShape(reader: ByteReader): AppShape {
  return readItems(reader, (): ShapePart => ({
    stage: reader.varint(),
    name: reader.string(TEXT_BYTES_MAX),
    text: reader.string(TEXT_BYTES_MAX),
  }));
}

/** Of all its texts. */
export function shapeBytes(shape: AppShape): number {
  return shape.reduce((sum, { name, text }) => sum + utf8(name).length + utf8(text).length, 0);
}

function isSame(part: ShapePart, other: ShapePart | undefined): boolean {
  return part.stage === other?.stage && part.name === other.name && part.text === other.text;
}

function named({ stage, name }: ShapePart): string {
  return `"${name}" in stage ${stage}`;
}
