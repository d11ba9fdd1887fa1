/**
 * A configuration as the head of its entry, and in snapshots and messages:
 *
 *     u8 version (1), voters, outgoing, learners, demoted; each a varint count and that many
 *     text id; a learner's is followed by u8 wanted (0 learner, 1 voter)
 *
 * Lists must be sorted, without repeats, and disjoint as `configuration.ts` says: a configuration has one encoding.
 */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Configuration, Learner } from "./configuration.ts";
import { MEMBERS_MAX, MESSAGE_LIMITS } from "./limits.ts";
import type { NodeId } from "./types.ts";

const VERSION = 1;

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(VERSION);
  writeIds(writer, configuration.voters);
  writeIds(writer, configuration.outgoing);
  writer.varint(configuration.learners.length);
  for (const { id, wanted } of configuration.learners) writer.string(id).u8(wanted === "voter" ? 1 : 0);
  writeIds(writer, configuration.demoted);
  return writer.finish();
}

export function decodeConfiguration(bytes: Uint8Array): Result<Configuration, "malformed"> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) return err("malformed");
  const voters = readIds(reader);
  const outgoing = readIds(reader);
  const learners: Learner[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1) {
    const id = reader.string(MESSAGE_LIMITS.nodeIdBytesMax);
    const wanted = reader.u8();
    if (wanted > 1) reader.fail();
    learners.push({ id, wanted: wanted === 1 ? "voter" : "learner" });
  }
  const configuration = { voters, outgoing, learners, demoted: readIds(reader) };
  return reader.complete && wellFormed(configuration) ? ok(configuration) : err("malformed");
}

function wellFormed({ voters, outgoing, learners, demoted }: Configuration): boolean {
  const learning = learners.map((learner) => learner.id);
  return (
    voters.length > 0 &&
    [voters, outgoing, learning, demoted].every(ascending) &&
    !learning.some((id) => voters.includes(id) || outgoing.includes(id)) &&
    !demoted.some((id) => voters.includes(id) || !outgoing.includes(id))
  );
}

function ascending(ids: readonly NodeId[]): boolean {
  return ids.every((id, place) => id !== "" && (place === 0 || (ids[place - 1] as NodeId) < id));
}

function writeIds(writer: ByteWriter, ids: readonly NodeId[]): void {
  writer.varint(ids.length);
  for (const id of ids) writer.string(id);
}

function readIds(reader: ByteReader): NodeId[] {
  const ids: NodeId[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1)
    ids.push(reader.string(MESSAGE_LIMITS.nodeIdBytesMax));
  return ids;
}
