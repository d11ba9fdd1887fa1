/**
 * The second thread of a worker: when the first has not come round for a while, it tells the process that started the worker which operator
 * runs, once a second, on a pipe of its own. Nobody else could end a worker that hangs and has lost that process: then it does.
 */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { RunningPlace, type TaskNodes } from "./running-place.ts";
import { ALIVE_EVERY_MS, HANGING_FD, type HangingWorker } from "./worker-messages.ts";

/** At so many looks in a row the first thread was where it had been. */
const SILENT_LOOKS_MAX = 3;

export type WatchdogData = { readonly tasks: readonly TaskNodes[]; readonly memory: SharedArrayBuffer };

const { tasks, memory } = workerData as WatchdogData;
const running = new RunningPlace(tasks, memory);
let beats = 0;
let silentLooks = 0;

setInterval(() => {
  silentLooks = running.beats === beats ? silentLooks + 1 : 0;
  beats = running.beats;
  if (silentLooks >= SILENT_LOOKS_MAX) tell({ ...(running.operator !== undefined && { operator: running.operator }) });
}, ALIVE_EVERY_MS);

function tell(hanging: HangingWorker): void {
  try {
    writeSync(HANGING_FD, `${JSON.stringify(hanging)}\n`);
  } catch {
    process.kill(process.pid, "SIGKILL");
  }
}
