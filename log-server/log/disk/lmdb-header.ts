/**
 * A look at an LMDB file before LMDB opens it, for opening one with a broken header or one cut short ends the process
 * rather than failing. Only what cannot be a store is refused; the rest is checked when rows are read.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** What LMDB calls the file of a store, in the store's folder. */
export const DATA_FILE = "data.mdb";

const META_PAGES = 2;
/** Of each meta page: the page's flags, then LMDB's mark and version, the page size and the last page in use. */
const PAGE_FLAGS_AT = 18;
const MARK_AT = 24;
const VERSION_AT = 28;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const META_LENGTH = 160;

const META_FLAG = 0x08;
const MARK = 0xbeefc0de;
const VERSION = 2;
const PAGE_SIZES: readonly number[] = [4_096, 8_192, 16_384, 32_768, 65_536];

/** Whether the file can be given to LMDB: it is missing, or empty, or has sound meta pages and all its pages. */
export function mayBeStore(path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return true;
    let pageSize = 0;
    for (let page = 0; page < META_PAGES; page += 1) {
      const meta = Buffer.alloc(META_LENGTH);
      if (readSync(descriptor, meta, 0, META_LENGTH, page * pageSize) < META_LENGTH) return false;
      if ((meta.readUInt16LE(PAGE_FLAGS_AT) & META_FLAG) === 0 || meta.readUInt32LE(MARK_AT) !== MARK) return false;
      if ((meta.readUInt32LE(VERSION_AT) & 0xffff) !== VERSION) return false;
      const found = meta.readUInt32LE(PAGE_SIZE_AT);
      if (!PAGE_SIZES.includes(found) || (page > 0 && found !== pageSize)) return false;
      pageSize = found;
      if ((meta.readBigUInt64LE(LAST_PAGE_AT) + 1n) * BigInt(pageSize) > BigInt(size)) return false;
    }
    return true;
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}
