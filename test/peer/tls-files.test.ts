/** Certificates that are renewed while a server runs: what is in the files counts once it belongs together, and is told of (N10). */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTlsFiles, TlsFiles } from "../../log-server/peer/tls-files.ts";
import { type PeerTls, tlsProblem } from "../../log-server/peer/tls.ts";
import { SimClock } from "../../src/sim/clock.ts";

const CERTIFICATES = join(import.meta.dirname, "certificates");
const EVERY_MS = 1_000;

let folder: string;
let paths: PeerTls;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-tls-"));
  const at = (name: string): string => join(folder, name);
  paths = { ca: at("ca"), cert: at("cert"), key: at("key") };
  put("ca", "ca.crt");
  put("cert", "n1.crt");
  put("key", "n1.key");
});

afterEach(() => rmSync(folder, { recursive: true }));

function put(as: keyof PeerTls, file: string): void {
  copyFileSync(join(CERTIFICATES, file), paths[as]);
}

/** Those of n1, and what becomes of them. */
async function watched(
  node: string,
): Promise<{ said: string[]; renewed: PeerTls[]; look: () => Promise<void>; files: TlsFiles }> {
  const said: string[] = [];
  const renewed: PeerTls[] = [];
  const read = await readTlsFiles(paths);
  if (!read.ok) throw new Error(read.error);
  const clock = new SimClock();
  const asOf = Date.now();
  const options = {
    node,
    paths,
    clock: {
      now: () => asOf,
      monotonic: () => clock.monotonic(),
      schedule: (delayMs: number, run: () => void) => clock.schedule(delayMs, run),
      defer: (run: () => void) => clock.defer(run),
    },
    everyMs: EVERY_MS,
    renewed: (tls: PeerTls) => void renewed.push(tls),
    event: (code: string, detail: object) => void said.push(`${code} ${JSON.stringify(detail)}`),
  };
  const files = new TlsFiles(options, read.value);
  files.start();
  const look = async (): Promise<void> => {
    while (clock.nextDueMs === undefined) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(EVERY_MS);
    while (clock.nextDueMs === undefined) await new Promise((resolve) => setImmediate(resolve));
  };
  return { said, renewed, look, files };
}

describe("the files of peer TLS", () => {
  it("count once certificate and key belong together, and are for this node", async () => {
    const { said, renewed, look, files } = await watched("n2");
    put("cert", "n2.crt");
    await look();
    await look();
    expect(renewed).toEqual([]);
    expect(said).toEqual([expect.stringContaining("do not belong together")]);
    put("key", "n2.key");
    await look();
    await look();
    expect(renewed).toEqual([
      {
        ca: readFileSync(paths.ca, "utf8"),
        cert: readFileSync(paths.cert, "utf8"),
        key: readFileSync(paths.key, "utf8"),
      },
    ]);
    expect(said.slice(1)).toEqual([expect.stringMatching(/^peer-tls-renewed .*validTo/)]);
    put("cert", "stranger.crt");
    put("key", "stranger.key");
    await look();
    expect(renewed.length).toBe(1);
    expect(said.at(-1)).toContain("not of the authority");
    put("cert", "n1.crt");
    put("key", "n1.key");
    await look();
    expect(said.at(-1)).toContain("for n1, and not for n2");
    await files.stop();
  });

  it("that are gone, or are no certificates, change nothing", async () => {
    const { said, renewed, look, files } = await watched("n1");
    rmSync(paths.key);
    await look();
    writeFileSync(paths.key, "no key");
    await look();
    put("key", "n1.key");
    await look();
    expect(renewed).toEqual([]);
    expect(said).toEqual([
      expect.stringContaining("cannot be read"),
      expect.stringContaining("do not belong together"),
    ]);
    await files.stop();
  });

  it("are of no use before and after their time", async () => {
    const read = await readTlsFiles(paths);
    if (!read.ok) throw new Error(read.error);
    expect(tlsProblem(read.value, "n1", Date.now())).toBeUndefined();
    for (const at of ["2020-01-01", "2200-01-01"])
      expect(tlsProblem(read.value, "n1", Date.parse(at))).toContain("valid from");
  });
});
