/**
 * Names in a log's folder:
 *
 *     segments/<sequence>.log         a segment; one with nothing in it yet is a spare
 *     segments/<sequence>.compacted   a rewritten segment: what survived of those that it replaced
 *     segments/<sequence>.index       the index block of a sealed or rewritten segment
 *     segments/<sequence>.*.new       one of these that is being written
 *     quarantine/<sequence>-<place>   a damaged tail, set aside before it was cut off
 *     snapshots/                      see `snapshot-store.ts`
 *     tails/                          the index of what was not sealed, for each snapshot
 *     distrusted                      says that the state made of this log is not to be believed: see `distrust.ts`
 *     newest-segment                  which segment is the newest: see `newest-segment.ts`
 *     incoming/                       what another node ships to take the place of all of this: see `incoming.ts`
 *
 * Sequences have 16 digits and are never used twice.
 */

const DIGITS = 16;
const NAME = /^(\d{16})\.(log|log\.new|compacted|compacted\.new|index|index\.new)$/;

export type SegmentFileKind = "log" | "log.new" | "compacted" | "compacted.new" | "index" | "index.new";
export type SnapshotSuffix = "snapshot" | "damaged" | "new";
export type SegmentFileName = { readonly sequence: number; readonly kind: SegmentFileKind };

export class LogLayout {
  readonly root: string;
  readonly segments: string;
  readonly quarantine: string;
  readonly snapshots: string;
  readonly tails: string;
  readonly distrusted: string;
  readonly newest: string;

  constructor(root: string) {
    this.root = root;
    this.segments = `${root}/segments`;
    this.quarantine = `${root}/quarantine`;
    this.snapshots = `${root}/snapshots`;
    this.tails = `${root}/tails`;
    this.distrusted = `${root}/distrusted`;
    this.newest = `${root}/newest-segment`;
  }

  file(sequence: number, kind: SegmentFileKind): string {
    return `${this.segments}/${digits(sequence)}.${kind}`;
  }

  /** See `snapshot-store.ts`. */
  snapshot(position: number, suffix: SnapshotSuffix): string {
    return snapshotPath(this.snapshots, position, suffix);
  }

  /** Where what is shipped here is put together, in folders like these. */
  get incoming(): LogLayout {
    return new LogLayout(`${this.root}/incoming`);
  }

  quarantined(sequence: number, place: number): string {
    return `${this.quarantine}/${digits(sequence)}-${digits(place)}`;
  }
}

/** What a name in `segments/` stands for; undefined for what is not ours. */
export function parseSegmentFileName(name: string): SegmentFileName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  return { sequence: Number(match[1]), kind: match[2] as SegmentFileKind };
}

export function snapshotPath(directory: string, position: number, suffix: SnapshotSuffix): string {
  return `${directory}/${digits(position)}.${suffix}`;
}

function digits(value: number): string {
  return String(value).padStart(DIGITS, "0");
}
