/** The command line: what it prints, where, and with which exit status. The server is a fake one, in memory. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import type { Io } from "../../client/cli/io.ts";
import { main } from "../../client/cli/main.ts";
import { connect } from "../../client/client.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import { FakeServer } from "../client/fake-server.ts";
import { FakeTransport } from "../client/fake-transport.ts";

class Sink extends Writable {
  text = "";
  readonly isTTY: boolean;
  readonly columns = 200;
  /** What happens at the next write, if not just this. */
  onWrite: (() => void) | undefined;

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.text += chunk.toString();
    done();
    this.onWrite?.();
  }
}

/** As a pipe whose reader has gone. */
class BrokenSink extends Sink {
  override _write(_chunk: Buffer, _: string, done: (error?: Error) => void): void {
    done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  }
}

type Shell = {
  readonly server: FakeServer;
  readonly transport: FakeTransport;
  readonly stdin: PassThrough;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly interrupt: AbortController;
  readonly connected: { url: string; token: unknown };
  readonly tidemark: (...args: string[]) => Promise<number>;
};

function shell(options: { readonly stdout?: Sink; readonly terminal?: boolean; readonly env?: Io["env"] } = {}): Shell {
  const server = new FakeServer();
  const transport = new FakeTransport(server, SYSTEM_ENVIRONMENT.clock);
  const stdin = new PassThrough();
  const stdout = options.stdout ?? new Sink();
  stdout.on("error", () => undefined);
  const stderr = new Sink(options.terminal);
  const interrupt = new AbortController();
  const connected = { url: "", token: undefined as unknown };
  const io: Io = {
    stdin,
    stdout,
    stderr,
    env: options.env ?? {},
    interrupted: interrupt.signal,
    connect: (url, given) => {
      connected.url = String(url);
      connected.token = given?.token;
      return connect(url, { ...given, transport });
    },
  };
  return { server, transport, stdin, stdout, stderr, interrupt, connected, tidemark: (...args) => main(args, io) };
}

const folders: string[] = [];

function file(name: string, content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-cli-"));
  folders.push(folder);
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("append", () => {
  it("appends standard input, a line a record", async () => {
    const s = shell();
    s.stdin.end("one\ntwo\r\n\nfour");
    expect(await s.tidemark("append", "notes", "--create")).toBe(0);
    expect(s.server.contents("notes")).toEqual(["one", "two", "", "four"]);
    expect(s.stdout.text).toBe("appended 4 records (offsets 0 to 3) to notes\n");
    expect(s.stderr.text).toBe("");
  });

  it("appends files in order, NDJSON with keys, and reports in JSON", async () => {
    const s = shell();
    s.server.create("orders");
    const first = file("a.ndjson", '{"id":7}\n\n{"id":"x"}\n');
    const second = file("b.ndjson", '{"id":true}');
    const args = ["append", "orders", first, second, "--format", "ndjson", "--key-field", "id", "-o", "json"];
    expect(await s.tidemark(...args)).toBe(0);
    expect(s.server.contents("orders")).toEqual(['{"id":7}', '{"id":"x"}', '{"id":true}']);
    expect(JSON.parse(s.stdout.text)).toEqual({ stream: "orders", records: 3, firstOffset: 0, lastOffset: 2 });
    expect(await s.tidemark("tail", "orders", "--no-follow", "-o", "json")).toBe(0);
    const keys = s.stdout.text
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => (JSON.parse(line) as { key: string }).key);
    expect(keys).toEqual(["7", "x", "true"]);
  });

  it("--create takes a stream that exists as it is", async () => {
    const s = shell();
    s.server.create("notes");
    s.stdin.end("a\n");
    expect(await s.tidemark("append", "notes", "--create")).toBe(0);
    expect(s.server.contents("notes")).toEqual(["a"]);
  });

  it("says which line cannot be understood, and appends what came before it", async () => {
    const s = shell();
    s.server.create("orders");
    s.stdin.end('{"n":1}\n{"n":2}\n{"n":\n{"n":4}\n');
    expect(await s.tidemark("append", "orders", "--format", "ndjson")).toBe(2);
    expect(s.stderr.text).toContain("line 3 of standard input is not valid JSON");
    expect(s.stderr.text).toContain("appended 2 records (offsets 0 to 1) before this");
    expect(s.server.contents("orders")).toHaveLength(2);
  });

  it("a file that is not there is told of before anything is appended", async () => {
    const s = shell();
    s.server.create("orders");
    expect(await s.tidemark("append", "orders", file("a", "x\n"), "/nowhere/b")).toBe(2);
    expect(s.stderr.text).toContain("/nowhere/b cannot be read");
    expect(s.server.contents("orders")).toEqual([]);
  });

  it("a progress bar on a terminal, and none elsewhere", async () => {
    const path = file("lines", "x".repeat(1_000).split("").join("\n"));
    for (const terminal of [true, false]) {
      const s = shell({ terminal });
      s.server.create("s");
      expect(await s.tidemark("append", "s", path)).toBe(0);
      expect(s.stderr.text.includes("append [")).toBe(terminal);
      expect(s.stderr.text.endsWith("\r\u001B[K")).toBe(terminal);
    }
  });

  it("an interrupt appends what was read, and says so", async () => {
    const s = shell();
    s.server.create("s");
    const done = s.tidemark("append", "s");
    s.stdin.write("one\ntwo\n");
    while (s.server.contents("s").length < 2) await new Promise((resolve) => setImmediate(resolve));
    s.interrupt.abort();
    expect(await done).toBe(130);
    expect(s.stdout.text).toContain("appended 2 records");
  });

  it.each([
    [["append", "none"], 3, "stream-not-found"],
    [["append", "closed"], 4, "stream-closed"],
    [["append", "a/../b"], 2, "malformed-name"],
    [["append", "s", "--key-field", "id"], 2, "invalid-argument"],
    [["append", "s", "--content-type", "text/plain"], 2, "invalid-argument"],
    [["append", "s", "--token-file", "/nowhere"], 2, "invalid-argument"],
  ])("%j exits with %i", async (args, status, code) => {
    const s = shell();
    s.server.create("closed").closed = true;
    s.server.create("s");
    s.stdin.end("x\n");
    expect(await s.tidemark(...args)).toBe(status);
    expect(s.stderr.text).toContain(`[${code}]`);
    expect(s.stdout.text).toBe("");
  });

  it("a server that is not there: 5, in JSON if asked", async () => {
    const s = shell();
    s.transport.faults.push(...Array.from({ length: 100 }, () => "refuse" as const));
    s.stdin.end("x\n");
    expect(await s.tidemark("append", "s", "--timeout", "0.1", "-o", "json")).toBe(5);
    expect(JSON.parse(s.stderr.text)).toMatchObject({
      error: { code: "timeout", retryable: true, outcome: "not-applied" },
    });
  });
});

async function filled(options: Parameters<typeof shell>[0] = {}): Promise<Shell> {
  const s = shell(options);
  s.stdin.end("a\nb\nc\n");
  await s.tidemark("append", "s", "--create");
  s.stdout.text = "";
  return s;
}

describe("tail", () => {
  it("prints what is there and ends at the tail", async () => {
    const s = await filled();
    expect(await s.tidemark("tail", "s", "--no-follow")).toBe(0);
    expect(s.stdout.text).toBe("a\nb\nc\n");
  });

  it("begins and ends where it is told", async () => {
    const s = await filled();
    expect(await s.tidemark("tail", "s", "--no-follow", "--from", "1", "--limit", "1")).toBe(0);
    expect(await s.tidemark("tail", "s", "--from", "0000000000000001_0000000000000002", "--limit", "1")).toBe(0);
    expect(await s.tidemark("tail", "s", "--no-follow", "--from", "now")).toBe(0);
    expect(s.stdout.text).toBe("b\nc\n");
  });

  it("follows until interrupted", async () => {
    const s = await filled();
    const done = s.tidemark("tail", "s", "--from", "2");
    s.stdout.onWrite = () => s.interrupt.abort();
    expect(await done).toBe(130);
    expect(s.stdout.text).toBe("c\n");
    expect(s.stderr.text).toBe("");
  });

  it("prints bytes that are no text in base64, and tells of gaps", async () => {
    const s = await filled();
    await s.tidemark("append", "s", file("binary", new Uint8Array([255, 254])));
    const stream = s.server.streams.get("s");
    if (stream !== undefined) stream.firstOffset = 2;
    s.stdout.text = "";
    expect(await s.tidemark("tail", "s", "--no-follow", "--from", "0", "-o", "json")).toBe(0);
    const lines = s.stdout.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toMatchObject([
      { gap: { from: 0, to: 2 } },
      { offset: 2, value: "c" },
      { offset: 3, valueBase64: "//4=" },
    ]);
    expect(await s.tidemark("tail", "s", "--no-follow", "--from", "0")).toBe(0);
    expect(s.stderr.text).toContain("records 0 to 1 are gone");
  });

  it("a reader that went away is the end of the work, not a failure", async () => {
    const s = await filled({ stdout: new BrokenSink() });
    expect(await s.tidemark("tail", "s")).toBe(0);
    expect(s.stderr.text).toBe("");
  });

  it("tells of a server that went away and came back", async () => {
    const s = await filled();
    s.transport.faults.push("none", "refuse");
    const done = s.tidemark("tail", "s", "--limit", "4");
    while (!s.stderr.text.includes("trying again")) await new Promise((resolve) => setImmediate(resolve));
    await connect("http://fake", { transport: s.transport }).stream("s").append("d");
    expect(await done).toBe(0);
    expect(s.stdout.text).toBe("a\nb\nc\nd\n");
    expect(s.stderr.text).toContain("connected again");
  });
});

describe("the program", () => {
  it.each([["append"], ["tail"], ["version"], ["serve"], ["config"], ["demo"]])("has help for %s", async (verb) => {
    const s = shell();
    expect(await s.tidemark("--help")).toBe(0);
    expect(s.stdout.text).toContain(`  ${verb}`);
    expect(s.stdout.text).toContain("Exit status:");
  });

  it.each([["append"], ["tail"], ["demo"], ["version"]])("shows an example in the help of %s", async (verb) => {
    const s = shell();
    expect(await s.tidemark(verb, "--help")).toBe(0);
    expect(s.stdout.text).toContain(`$ tidemark ${verb}`);
  });

  it.each([
    [[]],
    [["nonsense"]],
    [["tail"]],
    [["tail", "s", "--nonsense"]],
    [["tail", "s", "--from", "yesterday"]],
    [["tail", "s", "--limit", "0"]],
    [["append", "s", "--format", "xml"]],
    [["append", "s", "--timeout", "soon"]],
  ])("%j is a usage error", async (args) => {
    const s = shell();
    expect(await s.tidemark(...args)).toBe(2);
    expect(s.stderr.text).not.toBe("");
    expect(s.stdout.text).toBe("");
  });

  it("prints its version", async () => {
    const s = shell();
    expect(await s.tidemark("version")).toBe(0);
    expect(s.stdout.text).toMatch(/^tidemark \d+\.\d+\.\d+ \(Node \d+/);
    expect(await s.tidemark("version", "-o", "json")).toBe(0);
    expect(JSON.parse(s.stdout.text.split("\n")[1] ?? "")).toMatchObject({ node: process.versions.node });
  });

  it("takes the server and the token from flags over the environment", async () => {
    const token = file("token", "secret\n");
    const s = shell({ env: { TIDEMARK_URL: "http://env:1", TIDEMARK_TOKEN_FILE: token } });
    s.server.create("s");
    await s.tidemark("tail", "s", "--no-follow");
    expect(s.connected).toEqual({ url: "http://env:1", token: "secret" });
    await s.tidemark("tail", "s", "--no-follow", "--url", "http://flag:2");
    expect(s.connected.url).toBe("http://flag:2");
    const plain = shell();
    plain.server.create("s");
    await plain.tidemark("tail", "s", "--no-follow");
    expect(plain.connected).toEqual({ url: "http://127.0.0.1:4437", token: undefined });
  });
});
