/**
 * Ports of this machine for servers that must be told where others listen, and are down for a while: nobody else may be given
 * theirs meanwhile. So they are none of those that the system gives to whoever asks for any, and each worker of the test
 * runner has some of its own.
 */
import { createServer } from "node:net";

/** Linux gives any port from 32,768 on. */
const FIRST_PORT = 10_000;
const PORTS_PER_WORKER = 2_000;
const WORKERS_MAX = 11;

const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS_MAX;
/** Somewhere in its own, for the machine may run more than one of these. */
let next = Math.floor(Math.random() * PORTS_PER_WORKER);

export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried += 1) {
    if (tried === PORTS_PER_WORKER) throw new Error(`of ${PORTS_PER_WORKER} ports not ${count} are free`);
    const port = FIRST_PORT + worker * PORTS_PER_WORKER + next;
    next = (next + 1) % PORTS_PER_WORKER;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
