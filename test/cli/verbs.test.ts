/** The command line: what it prints, where, and with which exit status. The server is a fake one, in memory. */
import { describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeKey } from "../../src/operators/encoding/key-codec.ts";
import { BrokenSink, file, shell, type Shell, type ShellOptions } from "./shell.ts";

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
    expect(s.stderr.text).toContain(`(${code})`);
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
    expect(s.stdout.text).toBe("");
  });

  it("append that fails in the middle says so on standard error only, with what was appended before", async () => {
    const s = shell();
    s.server.create("s");
    s.stdin.end("1\n2\nthree\n");
    expect(await s.tidemark("append", "s", "--ndjson", "-o", "json")).toBe(2);
    expect(s.server.contents("s")).toEqual(["1", "2"]);
    expect(s.stdout.text).toBe("");
    expect(JSON.parse(s.stderr.text)).toMatchObject({
      error: {
        code: "malformed-json",
        outcome: "not-applied",
        appended: { stream: "s", records: 2, firstOffset: 0, lastOffset: 1 },
      },
    });
  });

  it("append of nothing notices that there is no stream, and is no error where there is one", async () => {
    const missing = shell();
    missing.stdin.end();
    expect(await missing.tidemark("append", "missing", "-o", "json")).toBe(3);
    expect(missing.stdout.text).toBe("");
    expect(JSON.parse(missing.stderr.text)).toMatchObject({ error: { code: "stream-not-found" } });
    const empty = shell();
    empty.server.create("s");
    empty.stdin.end();
    expect(await empty.tidemark("append", "s", "-o", "json")).toBe(0);
    expect(JSON.parse(empty.stdout.text)).toMatchObject({ stream: "s", records: 0, firstOffset: null });
  });
});

async function filled(options: ShellOptions = {}): Promise<Shell> {
  const s = shell(options);
  s.stdin.end("a\nb\nc\n");
  await s.tidemark("append", "s", "--create");
  s.stdout.text = "";
  return s;
}

describe("append reads", () => {
  async function appended(input: string | Uint8Array, ...args: string[]): Promise<Shell & { status: number }> {
    const s = shell();
    s.server.create("s");
    s.stdin.end(input);
    return { ...s, status: await s.tidemark("append", "s", ...args) };
  }

  it("CSV: rows as objects by the names in the first line, keys and headers", async () => {
    const csv = '\uFEFFid,note\r\n1,"a ""b"", c\nd"\r\n\r\n2,\r\n';
    const s = await appended(csv, "--csv", "--key-field", "id", "--header", "from=test");
    expect({ status: s.status, err: s.stderr.text }).toEqual({ status: 0, err: "" });
    s.stdout.text = "";
    await s.tidemark("read", "s");
    expect(s.stdout.text).toBe('{"id":"1","note":"a \\"b\\", c\\nd"}\n{"id":"2","note":""}\n');
    s.stdout.text = "";
    await s.tidemark("read", "s", "-o", "json", "--last", "1");
    expect(JSON.parse(s.stdout.text)).toMatchObject({ offset: 1, key: "2", headers: [["from", "test"]] });
  });

  it("CSV: a field may have any name, and tabs stand between fields if told so", async () => {
    const s = await appended("__proto__\tconstructor\na\tb\n", "--csv", "--delimiter", "\\t");
    expect(s.server.contents("s")).toEqual(['{"__proto__":"a","constructor":"b"}']);
  });

  it.each([
    ["a,b\n1,2\n3\n", "line 3 of standard input does not have as many fields"],
    ["a,b\n1,2,3\n", "line 2 of standard input does not have as many fields"],
    ['a,b\n1,"2\n', "a quote that is not closed"],
    ['a,b\n1,"2"3\n', "behind a closing quote"],
    ['a,b\n1,2"3\n', "a quote within a field"],
    ["a,a\n1,2\n", 'line 1 of standard input names the field "a" twice'],
    ["a,\n1,2\n", "one name is empty"],
    [Buffer.from([0x61, 0x0a, 0xff, 0x0a]), "line 2 of standard input is not UTF-8 text"],
    [Buffer.concat([Buffer.from('a\n"'), Buffer.alloc(9_000_000, "x")]), "too long for a record"],
  ])("CSV: refuses %#", async (input, message) => {
    const s = await appended(input, "--csv");
    expect(s.stderr.text.slice(0, 500)).toContain(message);
    expect(s.status).toBe(2);
    expect(s.stderr.text.trim().split("\n")).toHaveLength(1);
  });

  it("records in full, as read prints them", async () => {
    const lines = [
      '{"offset":7,"token":"t","logTime":1,"value":"v","key":{"base64":"//4="},"headers":{"h":"x"},"timestamp":5}',
      '{"base64":"AAE=","key":"k"}',
      '{"value":null,"key":"k"}',
    ];
    const s = await appended(lines.join("\n"), "--format", "records");
    expect({ status: s.status, err: s.stderr.text }).toEqual({ status: 0, err: "" });
    s.stdout.text = "";
    await s.tidemark("read", "s", "-o", "json");
    const first = s.stdout.text;
    expect(first.split("\n").map((line) => line.replace(/,"logTime".*/, ""))).toEqual([
      '{"offset":0,"value":"v","key":{"base64":"//4="},"headers":[["h","x"]],"timestamp":5',
      expect.stringContaining('{"offset":1,"value":"\\u0000\\u0001","key":"k"'),
      expect.stringContaining('{"offset":2,"value":null,"key":"k"'),
      "",
    ]);
    s.server.create("copy");
    const copy = await s.tidemark("append", "copy", file("records", first), "--format", "records");
    expect(copy).toBe(0);
    expect(s.server.contents("copy")).toEqual(s.server.contents("s"));
  });

  it.each([
    ['{"value":1,"valeu":2}', "invalid-argument"],
    ['{"gap":{"from":0,"to":3}}', "invalid-argument"],
    ['{"key":"k"}', "invalid-argument"],
    ["nonsense", "malformed-json"],
    [Buffer.from([0x22, 0xff, 0x22]), "not-text"],
    ["[".repeat(100_000) + "]".repeat(100_000), "malformed-json"],
  ])("records: refuses %#", async (input, code) => {
    const s = await appended(input, "--format", "records");
    expect(s.stderr.text).toContain(`(${code})`);
    expect(s.stderr.text).toContain("line 1 of standard input");
    expect(s.status).toBe(2);
  });

  it("a whole file as one record, keys and all", async () => {
    const s = await appended("a\nb\n", "--format", "whole", "--key", "k");
    expect(s.server.contents("s")).toEqual(["a\nb\n"]);
    s.stdout.text = "";
    await s.tidemark("read", "s", "--keys");
    expect(s.stdout.text).toBe("k\ta\nb\n\n");
    s.stdout.text = "";
    await s.tidemark("read", "s", "-o", "raw");
    expect(s.stdout.text).toBe("a\nb\n");
  });

  it("keys that operators have encoded are shown for what they are, others as they stand", async () => {
    const bytes = Uint8Array.of(0, 0xff);
    const keys = [42, -1.5, true, 7n, ["ATL", 3, null], bytes].map((key) => encodeKey(key));
    const records = [...keys, utf8(" spaced text"), bytes].map((key) =>
      JSON.stringify({ key: { base64: Buffer.from(key).toString("base64") }, value: 0 }),
    );
    const s = await appended(records.join("\n"), "--format", "records");
    s.stdout.text = "";
    await s.tidemark("read", "s", "--keys");
    const shown = s.stdout.text.split("\n").map((line) => line.split("\t")[0]);
    expect(shown.slice(0, -2)).toEqual(["42", "-1.5", "true", "7n", '["ATL",3,null]', "0x00ff", " spaced text"]);
  });

  it("an interrupt never makes a record of half a line", async () => {
    const s = shell();
    s.server.create("s");
    const done = s.tidemark("append", "s", "-o", "json");
    s.stdin.write("one\ntw");
    while (s.server.contents("s").length < 1) await new Promise((resolve) => setImmediate(resolve));
    s.interrupt.abort();
    expect(await done).toBe(130);
    expect(s.server.contents("s")).toEqual(["one"]);
    expect(JSON.parse(s.stdout.text)).toEqual({ stream: "s", records: 1, firstOffset: 0, lastOffset: 0 });
  });
});

describe("read", () => {
  it.each([
    [[], "a\nb\nc\n"],
    [["--from", "1"], "b\nc\n"],
    [["--to", "1"], "a\n"],
    [["--from", "1", "--to", "2"], "b\n"],
    [["--from", "2", "--to", "1"], ""],
    [["--to", "now"], "a\nb\nc\n"],
    [["--to", "start"], ""],
    [["--to", "99"], "a\nb\nc\n"],
    [["--last", "2"], "b\nc\n"],
    [["--last", "9"], "a\nb\nc\n"],
    [["--last", "2", "--limit", "1"], "b\n"],
    [["--from", "now"], ""],
  ])("%j", async (args, out) => {
    const s = await filled();
    expect(await s.tidemark("read", "s", ...args)).toBe(0);
    expect(s.stdout.text).toBe(out);
    expect(s.stderr.text).toBe("");
  });
});

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
      { offset: 3, base64: "//4=" },
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
  it.each([
    [[]],
    [["nonsense"]],
    [["tail"]],
    [["tail", "s", "--nonsense"]],
    [["tail", "s", "--from", "yesterday"]],
    [["tail", "s", "--limit", "0"]],
    [["append", "s", "--format", "xml"]],
    [["append", "s", "--timeout", "soon"]],
    [["append", "s", "--csv", "--ndjson"]],
    [["append", "s", "--header", "nameless"]],
    [["append", "s", "--delimiter", ";"]],
    [["append", "s", "--delimiter", "ab", "--csv"]],
    [["append", "s", "--key", "k", "--format", "records"]],
    [["read", "s", "--last", "1", "--from", "start"]],
    [["read", "s", "--to", "yesterday"]],
    [["streams"]],
    [["streams", "nonsense"]],
    [["streams", "trim", "s"]],
    [["streams", "create", "s", "--ttl", "0s"]],
    [["streams", "create", "s", "--ttl", "1h", "--expires", "2099-01-01"]],
    [["streams", "settings", "s", "--max-bytes", "10 GB"]],
    [["tx", "/nowhere"]],
    [["inspect"]],
    [["inspect", "/nowhere"]],
    [["completion", "tcsh"]],
    [["config"]],
    [["config", "print", "--nonsense"]],
    [["config", "print", "-o", "xml"]],
  ])("%j is a usage error", async (args) => {
    const s = shell();
    expect(await s.tidemark(...args)).toBe(2);
    expect(s.stderr.text).not.toBe("");
    expect(s.stdout.text).toBe("");
  });

  it("a usage error is one line, and with -o json a problem", async () => {
    const s = shell();
    expect(await s.tidemark("reed", "s")).toBe(2);
    expect(s.stderr.text).toMatch(/^tidemark: unknown command 'reed'.*read.*\n$/);
    expect(await s.tidemark("read", "s", "--nonsense", "-o", "json")).toBe(2);
    expect(JSON.parse(s.stderr.text.split("\n")[1] ?? "")).toMatchObject({
      error: { code: "usage", retryable: false },
    });
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
    await s.tidemark("tail", "s", "--no-follow", "--url", "http://one:1, http://two:2");
    expect(s.connected.url).toBe("http://one:1,http://two:2");
    const plain = shell();
    plain.server.create("s");
    await plain.tidemark("tail", "s", "--no-follow");
    expect(plain.connected).toEqual({ url: "http://127.0.0.1:4437", token: undefined });
  });
});
