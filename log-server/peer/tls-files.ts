/**
 * The files of peer TLS: read at the start, and again now and then, for certificates are renewed while servers run. Who writes them
 * writes one after the other, so what they hold counts only once it belongs together; until then the node keeps what it has.
 */
import { readFile } from "node:fs/promises";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { Rounds } from "../node/rounds.ts";
import { certificateFacts, type PeerTls, tlsProblem } from "./tls.ts";

/** Paths. */
export type PeerTlsPaths = { readonly ca: string; readonly cert: string; readonly key: string };

export type TlsFilesOptions = {
  readonly node: string;
  readonly paths: PeerTlsPaths;
  readonly clock: Clock;
  readonly everyMs: number;
  /** Other ones than before, and usable. */
  readonly renewed: (tls: PeerTls) => void;
  readonly event: (code: string, detail: Readonly<Record<string, unknown>>) => void;
};

export async function readTlsFiles({ ca, cert, key }: PeerTlsPaths): Promise<Result<PeerTls, string>> {
  try {
    const [caText, certText, keyText] = await Promise.all([ca, cert, key].map((path) => readFile(path, "utf8")));
    return ok({ ca: caText as string, cert: certText as string, key: keyText as string });
  } catch (error) {
    return err(`a file of peer TLS cannot be read: ${(error as Error).message}`);
  }
}

export class TlsFiles {
  readonly #options: TlsFilesOptions;
  readonly #rounds: Rounds;
  #current: PeerTls;
  /** Why what is there now is not used; told once. */
  #problem: string | undefined;

  constructor(options: TlsFilesOptions, current: PeerTls) {
    const { clock, everyMs, event } = options;
    this.#options = options;
    this.#current = current;
    this.#rounds = new Rounds(clock, {
      everyMs,
      work: () => this.#look(),
      failed: (error) => event("peer-tls-failed", { error: String(error) }),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #look(): Promise<void> {
    const { node, paths, clock, renewed, event } = this.#options;
    const read = await readTlsFiles(paths);
    if (this.#rounds.stopped) return;
    const problem = read.ok ? tlsProblem(read.value, node, clock.now()) : read.error;
    if (problem !== undefined) {
      if (problem !== this.#problem) event("peer-tls-unusable", { reason: problem });
      this.#problem = problem;
      return;
    }
    this.#problem = undefined;
    if (!read.ok || isSame(read.value, this.#current)) return;
    this.#current = read.value;
    renewed(read.value);
    event("peer-tls-renewed", certificateFacts(read.value));
  }
}

function isSame(one: PeerTls, other: PeerTls): boolean {
  return one.ca === other.ca && one.cert === other.cert && one.key === other.key;
}
