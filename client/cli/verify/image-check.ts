/**
 * A process by itself: whether a copy of a node's image (`log-server/log/image.ts`) can be read and is what was saved. It says
 * what is wrong, or nothing. A damaged page of LMDB may end the process that reads it, and that is an answer, too.
 */
import { openLmdbKv } from "../../../log-server/log/disk/lmdb-kv.ts";
import { Image } from "../../../log-server/log/image.ts";
import { BatchIndex } from "../../../log-server/log/index/batch-index.ts";
import { digestOfFacts } from "../../../log-server/log/index/index-block.ts";
import { LOG_LIMITS } from "../../../log-server/log/limits.ts";
import { hex64 } from "../../../src/lib/bytes.ts";
import type { ImageReport } from "./image.ts";

const [path = ""] = process.argv.slice(2);
let wrong: string | undefined;
const kv = openLmdbKv(path, (reason) => (wrong = reason));
// How far the log goes is seen at a start.
const loaded = new Image(kv).load({ logEnd: Number.MAX_SAFE_INTEGER });
if (!loaded.ok && loaded.error.kind !== "missing") wrong ??= loaded.error.message;
const known = wrong === undefined ? new BatchIndex(kv, LOG_LIMITS).segments().sealed : [];
const sealed = known.map(({ sequence, dataKind, facts }) => ({
  sequence,
  dataKind,
  block: hex64(digestOfFacts(facts)),
}));
await kv.close();
const position = wrong === undefined && loaded.ok ? loaded.value.position : undefined;
process.stdout.write(JSON.stringify({ fault: wrong, position, sealed } satisfies ImageReport));
