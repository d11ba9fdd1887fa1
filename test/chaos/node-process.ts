/** One node: a real process in its namespace, on a file system of its own whose size is bounded. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import type { Network } from "./network.ts";

/** As short tests of processes have it: small, so that images, snapshots, shipments and scrubs are among what happens. */
const LIMITS_HOOK = pathToFileURL(join(import.meta.dirname, "../process/patched-limits.ts")).href;
const LIMITS = {
  imageEveryBytes: 1024 * 1024,
  imageEveryMs: 2_000,
  snapshotEveryBytes: 8 * 1024 * 1024,
  housekeepingEveryMs: 500,
  scrubFirstMs: 5_000,
  scrubEveryMs: 10_000,
};
const EVENT = /"event":"([a-z-]+)"/;
const PROGRAM = join(import.meta.dirname, "../../client/cli/bin.ts");
const CLIENT_PORT = 4_437;
const PEER_PORT = 4_438;
const READY = "ready ";
const COMPLAINTS_MAX = 50;
/** What Node has compiled, kept by whoever ends in peace for the many starts to come: a release has no types to strip. */
const COMPILE_CACHE = "/run/compiled";
/** Small, so that segments are sealed and there is something to damage. */
const SEGMENT_BYTES = "1MiB";

export type NodeState = "running" | "paused" | "down";

export class NodeProcess {
  readonly name: string;
  readonly folder: string;
  readonly #network: Network;
  readonly #peers: readonly string[];
  readonly #complaints: string[] = [];
  readonly #events = new Map<string, number>();
  #child: ChildProcess | undefined;
  #state: NodeState = "down";
  #exited: Promise<unknown> = Promise.resolve();
  #endedBy: NodeJS.Signals | null = null;
  readonly #logFile: string | undefined;

  /** `peers`: names of the founding nodes. `folder` is where its file system is, of `bytes` at most. */
  constructor(
    name: string,
    peers: readonly string[],
    network: Network,
    folder: string,
    bytes: number,
    logFile: string | undefined,
  ) {
    this.name = name;
    this.#logFile = logFile;
    this.folder = folder;
    this.#network = network;
    this.#peers = peers;
    mkdirSync(folder, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "none", folder]);
  }

  get url(): string {
    return `http://${this.#network.addressOf(this.name)}:${CLIENT_PORT}`;
  }

  get peerAddress(): string {
    return `${this.#network.addressOf(this.name)}:${PEER_PORT}`;
  }

  get data(): string {
    return join(this.folder, "data");
  }

  get state(): NodeState {
    return this.#state;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.#child.pid;
  }

  /** Its last lines on standard error. */
  get complaints(): readonly string[] {
    return this.#complaints;
  }

  /** The signal that its last process ended by, if it was one. */
  get endedBy(): NodeJS.Signals | null {
    return this.#endedBy;
  }

  /** How often it has told of what, over all its lives. */
  get events(): ReadonlyMap<string, number> {
    return this.#events;
  }

  /** Resolves when its process has ended, however. */
  get ended(): Promise<unknown> {
    return this.#exited;
  }

  /** Starts the process; resolves once it has said that it is ready, or has ended: true if it is ready. */
  async start(): Promise<boolean> {
    if (this.#state !== "down") throw new Error(`${this.name} is ${this.#state}`);
    const peers = this.#peers.map((peer) => `${peer}=${this.#network.addressOf(peer)}:${PEER_PORT}`).join(",");
    const listen = ["--listen", new URL(this.url).host, "--peer-listen", this.peerAddress, "--peers", peers];
    const serve = ["serve", "--id", this.name, "--data", this.data, "--insecure", "--segment-bytes", SEGMENT_BYTES];
    const command = [process.execPath, PROGRAM, ...serve, ...listen, "--low-water-bytes", "4MiB"];
    const child = spawn("ip", ["netns", "exec", this.name, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        NODE_OPTIONS: `--import ${LIMITS_HOOK}`,
        PATCHED_LIMITS: JSON.stringify(LIMITS),
      },
    });
    this.#child = child;
    this.#state = "running";
    createInterface(child.stderr).on("line", (line) => {
      const event = EVENT.exec(line)?.[1];
      if (event !== undefined) this.#events.set(event, (this.#events.get(event) ?? 0) + 1);
      this.#complaints.push(line);
      if (this.#logFile !== undefined) appendFileSync(this.#logFile, `${line}\n`);
      if (this.#complaints.length > COMPLAINTS_MAX) this.#complaints.shift();
    });
    const exited = once(child, "exit").then(([, signal]) => {
      if (this.#child !== child) return;
      this.#state = "down";
      this.#endedBy = signal as NodeJS.Signals | null;
    });
    this.#exited = exited;
    const ready = new Promise<boolean>((resolve) => {
      createInterface(child.stdout).on("line", (line) => line.startsWith(READY) && resolve(true));
    });
    return Promise.race([ready, exited.then(() => false)]);
  }

  /** `kill -9`; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#state === "down") return;
    this.#child?.kill("SIGKILL");
    await this.#exited;
  }

  /** `SIGTERM`: it hands over and finishes. */
  async stop(): Promise<void> {
    if (this.#state === "down") return;
    this.#child?.kill("SIGTERM");
    await this.#exited;
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
    this.#state = "paused";
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#child?.kill("SIGCONT");
    this.#state = "running";
  }

  /** Ends it, and its file system. */
  async dispose(): Promise<void> {
    this.resume();
    await this.kill();
    execFileSync("umount", ["--lazy", this.folder]);
  }

  /** Its disk is a new one. It must be down. */
  wipe(): void {
    if (this.#state !== "down") throw new Error(`${this.name} is ${this.#state}`);
    if (existsSync(this.data)) rmSync(this.data, { recursive: true });
  }
}
