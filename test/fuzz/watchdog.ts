/**
 * Ends a run in which one input takes too long: a parser that never returns would otherwise say nothing. A thread of its
 * own, for the one that parses may be busy for good.
 */
import { Worker } from "node:worker_threads";

const LIMIT_MS = 30_000;
const STATE_BYTES = 4;

const WATCH = `
const { workerData, parentPort } = require("node:worker_threads");
const input = new Int32Array(workerData.state);
let [name, seen, since] = ["", -1, Date.now()];
parentPort.on("message", (begun) => { [name, seen, since] = [begun, -1, Date.now()]; });
setInterval(() => {
  const now = Atomics.load(input, 0);
  if (now !== seen) [seen, since] = [now, Date.now()];
  else if (name !== "" && Date.now() - since > workerData.limitMs) {
    require("node:fs").writeSync(1, name + ", input " + now + ": has taken " + workerData.limitMs + " ms\\n");
    process.kill(process.pid, "SIGKILL");
  }
}, 500);
`;

export class Watchdog {
  readonly #state = new Int32Array(new SharedArrayBuffer(STATE_BYTES));
  readonly #worker: Worker;

  constructor() {
    const workerData = { state: this.#state.buffer, limitMs: LIMIT_MS };
    this.#worker = new Worker(WATCH, { eval: true, workerData });
    this.#worker.unref();
  }

  begin(name: string): void {
    Atomics.store(this.#state, 0, 0);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows: a thread has no origin
    this.#worker.postMessage(name);
  }

  saw(input: number): void {
    Atomics.store(this.#state, 0, input);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
