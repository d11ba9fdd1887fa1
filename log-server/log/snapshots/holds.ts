/**
 * What is shipped to another node stands still until it is there: while anybody holds the log's files none is trimmed or
 * rewritten, and the snapshot stays. Whoever holds bounds how long.
 */
import type { Disk } from "../../../src/ports/disk.ts";
import type { Horizon } from "../index/batch-index.ts";
import type { FilePool } from "../segments/file-pool.ts";
import type { LogLayout } from "../log-layout.ts";
import type { Shipment, ShipmentFile } from "./shipment.ts";
import type { SealedSegment } from "../segments/sealed-segment.ts";
import type { SegmentList } from "../segments/segment-list.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

export type HoldsParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly logId: number;
  readonly segments: SegmentList;
  readonly snapshots: SnapshotStore;
  readonly pool: FilePool;
};

export type Held = {
  readonly shipment: Shipment;
  /** Exactly these bytes of a file of it. Rejects where they cannot be read. */
  read(file: ShipmentFile, offset: number, length: number): Promise<Uint8Array>;
  /** Idempotent. */
  release(): void;
};

export class Holds {
  readonly #parts: HoldsParts;
  #count = 0;

  constructor(parts: HoldsParts) {
    this.#parts = parts;
  }

  get any(): boolean {
    return this.#count > 0;
  }

  /** Undefined: there is no snapshot yet, or what it stands on is not sealed yet. While nothing is given back. */
  async hold(snapshot: Horizon, diskId: string): Promise<Held | undefined> {
    const { disk, layout, logId, segments, snapshots, pool } = this.#parts;
    const position = snapshot.index;
    const sealed = firstSealed(segments);
    const last = sealed.at(-1);
    if (position === 0 || last === undefined || last.lastIndex < position) return undefined;
    const releaseSnapshot = snapshots.hold(position);
    this.#count += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#count -= 1;
      releaseSnapshot();
    };
    try {
      const files: ShipmentFile[] = [];
      const add = async (kind: ShipmentFile["kind"], number: number): Promise<void> => {
        const file = await disk.open(pathOf(layout, { kind, number }), "read");
        try {
          files.push({ kind, number, bytes: await file.size() });
        } finally {
          await file.close();
        }
      };
      await add("snapshot", position);
      for (const { sequence, dataKind } of sealed) {
        await add("index", sequence);
        await add(dataKind, sequence);
      }
      const { index, term } = last.facts.end;
      return {
        shipment: { logId, diskId, position, term: snapshot.term, end: { index, term }, files },
        read: async (file, offset, length) => {
          const bytes = new Uint8Array(length);
          const read = await pool.use(pathOf(layout, file), (open) => open.read(offset, bytes));
          if (read !== length) throw new Error(`${file.kind} ${file.number} is shorter than it was`);
          return bytes;
        },
        release,
      };
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** Up to the first that is not sealed. */
function firstSealed(segments: SegmentList): readonly SealedSegment[] {
  const sealed: SealedSegment[] = [];
  for (const segment of segments.all) {
    if (segment.kind !== "sealed") break;
    sealed.push(segment);
  }
  return sealed;
}

export function pathOf(layout: LogLayout, { kind, number }: Pick<ShipmentFile, "kind" | "number">): string {
  return kind === "snapshot" ? layout.snapshot(number, "snapshot") : layout.file(number, kind);
}
