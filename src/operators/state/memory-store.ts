/** Rows in memory: what state is in unless it is larger. */
import { SortedMap } from "./sorted-map.ts";
import type { StateStore } from "./state-store.ts";

export class MemoryStore extends SortedMap<Uint8Array> implements StateStore {}
