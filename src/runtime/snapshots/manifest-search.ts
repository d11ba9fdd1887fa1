/** Finds manifests in a stream of snapshots, from its end back: the newest is the last record, or near it. */
import type { Zstd } from "../../ports/zstd.ts";
import type { Offset } from "../../record/offset.ts";
import { err, type Result } from "../../lib/result.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import { decodeManifest, type Manifest } from "./manifest.ts";
import { joinPiece, readPieceRecord } from "./piece.ts";
import type { SnapshotStream, StreamBounds } from "./snapshot-stream.ts";

export type FoundManifest = {
  readonly offset: Offset;
  /** Or what is wrong with it. */
  readonly manifest: Result<Manifest, string>;
};

/** What stands last is one, whole or not; false where nothing stands. */
export async function endsInManifest(stream: SnapshotStream, { first, next }: StreamBounds): Promise<boolean> {
  if (next === first) return false;
  const { values } = await stream.read(next - 1, 1);
  const record = values[0] && readPieceRecord(values[0]);
  return record?.ok === true && record.value.kind === "manifest";
}

/** The newest first. */
export async function* manifestsBack(
  stream: SnapshotStream,
  zstd: Zstd,
  bounds: StreamBounds,
): AsyncIterable<FoundManifest> {
  let width: number = SNAPSHOT_LIMITS.searchRecordsMin;
  for (let end = bounds.next; end > bounds.first;) {
    const start = Math.max(bounds.first, end - width);
    const found: FoundManifest[] = [];
    for await (const { offset, value } of valuesOf(stream, start, end)) {
      const record = readPieceRecord(value);
      if (!record.ok || record.value.kind !== "manifest") continue;
      found.push({ offset, manifest: manifestOf(record.value.bytes, record.value.parts, zstd) });
    }
    yield* found.toReversed();
    end = start;
    width *= 2;
  }
}

/** Its values from `start` up to `end`; those that were trimmed meanwhile are not there. */
async function* valuesOf(
  stream: SnapshotStream,
  start: Offset,
  end: Offset,
): AsyncIterable<{ readonly offset: Offset; readonly value: Uint8Array }> {
  for (let at = start; at < end;) {
    const { from, values } = await stream.read(at, SNAPSHOT_LIMITS.readBytes);
    if (values.length === 0) return;
    for (const [place, value] of values.entries()) if (from + place < end) yield { offset: from + place, value };
    at = from + values.length;
  }
}

function manifestOf(bytes: Uint8Array, parts: number, zstd: Zstd): Result<Manifest, string> {
  if (parts !== 1) return err("it is in more than one part");
  const content = joinPiece([bytes], zstd);
  return content.ok ? decodeManifest(content.value) : content;
}
