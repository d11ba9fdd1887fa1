/** Reads pieces of segments' files, whichever way these are open, even if they are sealed or dropped meanwhile. */
import { type Extent, fetchExtents, type FileAccess } from "../rewrite/batch-fetch.ts";
import type { FilePool } from "./file-pool.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import type { Segment } from "./segment-list.ts";
import { isGone, isMissing } from "../repair/unreadable.ts";

export class SegmentFiles {
  readonly #layout: LogLayout;
  readonly #limits: LogLimits;
  readonly #pool: FilePool;

  constructor(layout: LogLayout, limits: LogLimits, pool: FilePool) {
    this.#layout = layout;
    this.#limits = limits;
    this.#pool = pool;
  }

  get folder(): string {
    return this.#layout.segments;
  }

  /** The bytes of each piece, not verified; undefined where the file does not give them, or is gone. */
  async fetch(segment: Segment, extents: readonly Extent[]): Promise<(Uint8Array | undefined)[]> {
    const path = this.#layout.file(segment.sequence, segment.kind === "sealed" ? segment.dataKind : "log");
    const pooled: FileAccess = (work) => this.#pool.use(path, work);
    const access: FileAccess = segment.kind === "sealed" ? pooled : (work) => segment.file.use(work);
    try {
      return await fetchExtents(access, extents, this.#limits);
    } catch (error) {
      // It was sealed meanwhile, or dropped.
      if (!isGone(error)) throw error;
    }
    try {
      return await fetchExtents(pooled, extents, this.#limits);
    } catch (error) {
      if (!isMissing(error)) throw error;
      return extents.map(() => undefined);
    }
  }
}
