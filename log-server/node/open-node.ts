/**
 * Brings a node up from what its disk holds: log, image or snapshot, state machine; then the loop. Which of these
 * is trusted is decided here: the log always, the image if it verifies and is not ahead of the log, else the newest
 * snapshot, else nothing; the log from there on is re-applied.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
