/** Three servers as child processes on this machine, for the demo. Who leads is asked of them, as anybody could. */
import { join } from "node:path";
import { freePort, ServerChild } from "./server-child.ts";

const NAMES = ["n1", "n2", "n3"] as const;
const HOST = "127.0.0.1";
const ASK_EVERY_MS = 20;
const ASK_TIMEOUT_MS = 500;

export type Leadership = { readonly name: string; readonly term: number };

/** Its process changes when it is started again; its place does not. */
type Member = {
  readonly name: string;
  readonly url: string;
  readonly args: readonly string[];
  server: ServerChild | undefined;
};

export class DemoCluster {
  readonly #members: readonly Member[];
  readonly #signal: AbortSignal;
  readonly #starting = new Set<Promise<ServerChild>>();

  private constructor(members: readonly Member[], signal: AbortSignal) {
    this.#members = members;
    this.#signal = signal;
  }

  /** Not started yet. Data goes to folders in `folder`; `signal` ends all waiting; all are told `optionsOf` where they serve. */
  static async plan(
    folder: string,
    signal: AbortSignal,
    optionsOf: (urls: readonly string[]) => readonly string[] = () => [],
  ): Promise<DemoCluster> {
    const ports: number[] = [];
    while (ports.length < NAMES.length * 2) {
      const port = await freePort();
      if (!ports.includes(port)) ports.push(port);
    }
    const peers = NAMES.map((name, at) => `${name}=${HOST}:${ports[NAMES.length + at]}`);
    const listens = NAMES.map((_, at) => `${HOST}:${ports[at]}`);
    const urls = listens.map((listen) => `http://${listen}`);
    const options = optionsOf(urls);
    const members = NAMES.map((name, at): Member => {
      const data = join(folder, name);
      const listen = listens[at] ?? "";
      const peerListen = `${HOST}:${ports[NAMES.length + at]}`;
      const places = ["--data", data, "--listen", listen, "--peer-listen", peerListen, "--peers", peers.join(",")];
      return { name, url: urls[at] ?? "", args: ["--id", name, ...places, ...options], server: undefined };
    });
    return new DemoCluster(members, signal);
  }

  get urls(): readonly string[] {
    return this.#members.map(({ url }) => url);
  }

  get names(): readonly string[] {
    return this.#members.map(({ name }) => name);
  }

  urlOf(name: string): string {
    return this.#member(name).url;
  }

  processIdOf(name: string): number | undefined {
    return this.#member(name).server?.processId;
  }

  /** Resolves when all serve. */
  async start(): Promise<void> {
    await Promise.all(this.#members.map(({ name }) => this.startNode(name)));
  }

  /** Resolves when it serves: it is up to date with a leader then. */
  async startNode(name: string): Promise<void> {
    const member = this.#member(name);
    this.#signal.throwIfAborted();
    const starting = ServerChild.start(member.args).then((server) => (member.server = server));
    this.#starting.add(starting);
    try {
      await starting;
    } finally {
      this.#starting.delete(starting);
    }
    this.#signal.throwIfAborted();
  }

  /** `kill -9`. */
  async kill(name: string): Promise<void> {
    await this.#member(name).server?.kill();
  }

  /** Resolves when a node but `except` leads. */
  async leader(except?: string): Promise<Leadership> {
    for (;;) {
      this.#signal.throwIfAborted();
      for (const { name, url } of this.#members) {
        if (name === except) continue;
        const { node, leader, term } = await ask(url);
        if (node !== undefined && leader === node) return { name: node, term };
      }
      await new Promise((resolve) => {
        setTimeout(resolve, ASK_EVERY_MS);
      });
    }
  }

  /** As operators would; those that are being started are waited for. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await Promise.all(this.#members.map(async ({ server }) => server?.stop()));
  }

  /** For the last moment of a process, when nothing can be awaited. */
  killNow(): void {
    for (const { server } of this.#members) server?.killNow();
  }

  #member(name: string): Member {
    const member = this.#members.find((each) => each.name === name);
    if (member === undefined) throw new Error(`there is no node ${name}`);
    return member;
  }
}

type View = { readonly node?: string; readonly leader?: string; readonly term: number };

async function ask(url: string): Promise<View> {
  try {
    const answer = await fetch(`${url}/v1/cluster`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    return (await answer.json()) as View;
  } catch {
    return { term: 0 };
  }
}
