/** The nodes of one cluster, as the faults see it: who runs, who leads, and all of them well again. */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { EXIT } from "../../client/cli/exit-codes.ts";
import type { Prng } from "../../src/lib/prng.ts";
import { Network } from "./network.ts";
import { NodeProcess } from "./node-process.ts";
import { pause } from "./pause.ts";

const PROGRAM = join(import.meta.dirname, "../../client/cli/bin.ts");
const DISK_BYTES = 192 * 1024 * 1024;
const ASK_MS = 1_000;
const ASK_AGAIN_MS = 50;
const LMDB_GIVES_UP = "SIGABRT";
/** Nobody needs longer to come back; what takes longer has not come back. */
const PATIENCE_MS = 60_000;
const COMMAND_ASKS_MAX = 5;

export class Cluster {
  readonly network: Network;
  readonly nodes: readonly NodeProcess[];

  /** `logs`: a folder for all that the nodes say. */
  constructor(folder: string, size: number, logs?: string) {
    const names = Array.from({ length: size }, (_, at) => `n${at + 1}`);
    this.network = new Network(names);
    mkdirSync(folder, { recursive: true });
    if (logs !== undefined) mkdirSync(logs, { recursive: true });
    this.nodes = names.map((name) => {
      const logFile = logs === undefined ? undefined : join(logs, `${name}.log`);
      return new NodeProcess(name, names, this.network, join(folder, name), DISK_BYTES, logFile);
    });
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Founds it, and starts it once more, from what the first start has compiled. */
  async start(): Promise<void> {
    await this.#startAll();
    await Promise.all(this.nodes.map((node) => node.stop()));
    await this.#startAll();
  }

  async #startAll(): Promise<void> {
    const ready = await within("the cluster to start", Promise.all(this.nodes.map((node) => node.start())));
    const down = this.nodes.find((_, at) => ready[at] === false);
    if (down !== undefined) throw new Error(`${down.name} did not start: ${down.complaints.join("\n")}`);
  }

  /** Resolves when there is one that says so. */
  async leader(): Promise<NodeProcess> {
    const found = async (): Promise<NodeProcess> => {
      for (;;) {
        for (const node of this.nodes) if (node.state === "running" && (await leads(node))) return node;
        await pause(ASK_AGAIN_MS);
      }
    };
    return within("a leader", found());
  }

  /** What its nodes have told of, and how often. */
  get events(): Readonly<Record<string, number>> {
    const events: Record<string, number> = {};
    for (const node of this.nodes)
      for (const [event, count] of node.events) events[event] = (events[event] ?? 0) + count;
    return events;
  }

  any(prng: Prng): NodeProcess {
    return prng.pick(this.nodes);
  }

  /** Whatever was done to them is undone, and all of them serve. */
  async recover(): Promise<void> {
    this.network.heal();
    for (const node of this.nodes) node.resume();
    await Promise.all(
      this.nodes.map(async (node) => {
        if (node.state !== "down") return;
        let ready = await within(`${node.name} to serve`, node.start());
        // LMDB ends the process over some damaged pages; the next start knows by the mark that was left. As by a supervisor:
        if (!ready && node.endedBy === LMDB_GIVES_UP) ready = await within(`${node.name} to serve`, node.start());
        if (!ready) throw new Error(`${node.name} does not start: ${node.complaints.slice(-3).join("\n")}`);
      }),
    );
  }

  /**
   * Runs a verb of `tidemark cluster`, asking any of the nodes that run but the one that it is about. Where the leader changes meanwhile
   * nobody knows what came of it: as an operator would, it is asked again then, and who is no member any more is removed.
   */
  async command(...verb: readonly string[]): Promise<void> {
    const asked = this.nodes.filter(({ state, name }) => state === "running" && !verb.includes(name));
    const urls = asked.map(({ url }) => url);
    const args = [PROGRAM, "cluster", ...verb, "--url", urls.join(",")];
    for (let left = COMMAND_ASKS_MAX; ; left -= 1) {
      try {
        await promisify(execFile)(process.execPath, args, { timeout: PATIENCE_MS });
        return;
      } catch (error) {
        const { code } = error as { readonly code?: unknown };
        if (verb[0] === "remove" && code === EXIT.notFound && left < COMMAND_ASKS_MAX) return;
        if (code !== EXIT.outcomeUnknown || left === 1) throw error;
      }
    }
  }

  /** What is still wrong on the disks of those that run, after it had time to be found and mended. */
  async unmended(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const node of this.nodes) {
      const until = performance.now() + PATIENCE_MS;
      let left = await verify("--url", node.url);
      for (; left.length > 0 && performance.now() < until; await pause(ASK_AGAIN_MS))
        left = await verify("--url", node.url);
      found.push(...left.map((line) => `not mended on ${node.name}: ${line}`));
    }
    return found;
  }

  /** What is wrong on the disks: when all that is found was mended, and when nobody runs any more (I13). */
  async damage(): Promise<readonly string[]> {
    const found = [...(await this.unmended())];
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const node of this.nodes) {
      const left = await verify("--data", node.data);
      found.push(...left.map((line) => `not found on ${node.name}: ${line}`));
    }
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.dispose()));
  }
}

/** What `tidemark verify` says, line by line, where it says that something is damaged. */
async function verify(...where: readonly string[]): Promise<readonly string[]> {
  try {
    await promisify(execFile)(process.execPath, [PROGRAM, "verify", ...where], { timeout: PATIENCE_MS });
    return [];
  } catch (error) {
    const {
      stdout = "",
      stderr = "",
      message,
    } = error as Error & { readonly stdout?: string; readonly stderr?: string };
    const lines = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
    return lines.length > 0 ? lines : [message];
  }
}

async function leads(node: NodeProcess): Promise<boolean> {
  try {
    const metrics = await fetch(`${node.url}/metrics`, { signal: AbortSignal.timeout(ASK_MS) });
    return /^tidemark_raft_is_leader 1$/m.test(await metrics.text());
  } catch {
    return false;
  }
}

export async function within<Result>(what: string, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS / 1_000} s for ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    clearTimeout(timer);
  }
}
