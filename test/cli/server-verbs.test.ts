/** Verbs that need a whole server: streams, tx, times; and inspect, on that server's own files. */
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeBatchFrame, encodeCompactedHeader } from "../../log-server/log/rewrite/compacted-file.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { file, shell } from "./shell.ts";

let node: RunningNode;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-cli-node-"));
  node = await startNode({ dataDirectory: join(folder, "data") });
});

afterAll(async () => {
  await node.close();
  rmSync(folder, { recursive: true });
});

type Ran = { readonly status: number; readonly out: string; readonly err: string };

async function tidemark(args: readonly string[], input = ""): Promise<Ran> {
  const s = shell({ url: node.url });
  s.stdin.end(input);
  const status = await s.tidemark(...args);
  return { status, out: s.stdout.text, err: s.stderr.text };
}

function lines(text: string): unknown[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("cluster wait", () => {
  it("waits for the node that it asks, which may be starting, and says so where that never answers", async () => {
    let hungUp = 0;
    const starting = createServer((request, response) => {
      if (hungUp < 3) {
        hungUp += 1;
        request.socket.destroy();
        return;
      }
      void fetch(new URL(request.url ?? "", node.url)).then(async (answer) =>
        response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text()),
      );
    }).listen(0, "127.0.0.1");
    await once(starting, "listening");
    const { port } = starting.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const s = shell({ url });
    expect(await s.tidemark("cluster", "wait"), s.stderr.text).toBe(0);
    expect(hungUp).toBe(3);
    starting.close();
    starting.closeAllConnections();
    const alone = shell({ url });
    expect(await alone.tidemark("cluster", "wait", "--stalled", "1")).toBe(5);
    expect(alone.stderr.text).toContain("nothing has moved for 1 s: cannot connect");
  });
});

describe("streams", () => {
  it("create, list, show, settings, trim, close, delete", async () => {
    const created = await tidemark(["streams", "create", "life/a", "--max-age", "7d", "--compact", "24h"]);
    expect(created).toEqual({ status: 0, out: "created life/a\n", err: "" });
    expect((await tidemark(["streams", "create", "life/b", "-o", "json"])).out).toContain('"created":true');
    expect((await tidemark(["append", "life/a"], "0\n1\n")).status).toBe(0);
    expect((await tidemark(["append", "life/a"], "2\n")).status).toBe(0);

    const listed = await tidemark(["streams", "list", "life/"]);
    expect(listed.out).toMatch(/^NAME +TYPE +FIRST +NEXT +STATE +CREATED\nlife\/a .* 0 +3 +open .*\nlife\/b .*\n$/);
    expect(lines((await tidemark(["streams", "list", "life/", "-o", "json", "--limit", "1"])).out)).toMatchObject([
      { name: "life/a", first: 0, next: 3, closed: false },
    ]);

    await tidemark(["streams", "settings", "life/a", "--max-age", "none", "--max-bytes", "10GiB"]);
    const settings = await tidemark(["streams", "settings", "life/a", "-o", "json"]);
    const retention = { maxBytes: 10 * 2 ** 30, compaction: { tombstoneMs: 86_400_000 } };
    expect(JSON.parse(settings.out)).toEqual({ name: "life/a", retention });
    const shown = await tidemark(["streams", "show", "life/a"]);
    expect(shown.out).toMatch(/^keeps +at most 10\.0 GiB, the newest of each key \(deleted ones for 1d\)$/m);
    expect(JSON.parse((await tidemark(["streams", "show", "life/a", "-o", "json"])).out)).toMatchObject({ retention });

    expect((await tidemark(["streams", "trim", "life/a", "--before", "2"])).out).toContain("begins at offset 2");
    expect((await tidemark(["read", "life/a"])).out).toBe("2\n");
    expect((await tidemark(["streams", "close", "life/a"])).out).toBe("closed life/a at offset 3\n");
    expect((await tidemark(["append", "life/a"], "x\n")).status).toBe(4);
    const deleted = await tidemark(["streams", "delete", "life/a", "life/b"]);
    expect(deleted.out).toBe("deleted life/a\ndeleted life/b\n");
    expect((await tidemark(["streams", "delete", "life/a"])).status).toBe(3);
    expect((await tidemark(["streams", "list", "life/"])).out).toBe("");
  });

  it("reads from a time and from how long ago", async () => {
    await tidemark(["append", "times", "--create"], "a\nb\n");
    expect((await tidemark(["read", "times", "--from", "1h"])).out).toBe("a\nb\n");
    expect((await tidemark(["read", "times", "--from", "2020-01-01", "--to", "now"])).out).toBe("a\nb\n");
    expect((await tidemark(["read", "times", "--from", "2999-01-01"])).out).toBe("");
    expect((await tidemark(["read", "times", "--to", "2020-01-01"])).out).toBe("");
  });
});

describe("tx", () => {
  const TRANSFER = {
    conditions: [
      { stream: "tx/a", exists: true },
      { stream: "tx/a", next: 0 },
      { stream: "tx/b", exists: false },
      { cursor: "job", value: null },
    ],
    operations: [
      { create: "tx/b", contentType: "application/json" },
      { append: "tx/a", records: ["x", { value: "y", key: "k" }] },
      { append: "tx/b", records: [{ value: { n: 1 } }], close: true },
      { cursor: "job", value: "1" },
    ],
  };

  it("commits all, and a second time nothing", async () => {
    await tidemark(["streams", "create", "tx/a"]);
    const path = file("tx.json", JSON.stringify(TRANSFER));
    const committed = await tidemark(["tx", path, "-o", "json"]);
    expect(committed).toMatchObject({ status: 0, err: "" });
    expect(lines(committed.out)).toMatchObject([
      { create: "tx/b", created: true },
      { append: "tx/a", offset: 0, next: 2 },
      { append: "tx/b", offset: 0, next: 1 },
      { cursor: "job" },
    ]);
    const again = await tidemark(["tx", path]);
    expect(again).toMatchObject({ status: 4, out: "" });
    expect(again.err).toMatch(/^tidemark: .*\(condition-failed\)\n$/);
    expect((await tidemark(["read", "tx/a"])).out).toBe("x\ny\n");
    expect((await tidemark(["read", "tx/b", "-o", "raw"])).out).toBe('{"n":1}');
    const removed = await tidemark(["tx"], '{"operations":[{"delete":"tx/b"},{"cursor":"job","value":null}]}');
    expect(removed.out).toBe("committed 2 operations\n  deleted tx/b\n  moved the cursor job\n");
  });

  it.each([
    ["", "malformed-json"],
    ["[]", "malformed-request"],
    ['{"operations":[]}', "invalid-argument"],
    ['{"operation":[]}', "malformed-request"],
    ['{"operations":[{"appendd":"a"}]}', "malformed-request"],
    ['{"operations":[{"append":"times"}]}', "empty-body"],
    ['{"operations":[{"append":"times","records":[]}]}', "empty-body"],
    ['{"operations":[{"append":"times","records":[{"valeu":1}]}]}', "malformed-request"],
    ['{"operations":[{"append":"times","records":["a"],"expectedOffset":-1}]}', "malformed-request"],
    ['{"operations":[{"cursor":"c","value":7}]}', "malformed-request"],
    ['{"operations":[{"create":"x","ttlSeconds":"long"}]}', "malformed-request"],
    ['{"conditions":[{"stream":"a"}],"operations":[{"delete":"a"}]}', "malformed-request"],
    ['{"conditions":[{"cursor":"a"}],"operations":[{"delete":"a"}]}', "malformed-request"],
  ])("refuses %j", async (input, code) => {
    const { status, out, err } = await tidemark(["tx", "-"], input);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(`(${code})`);
  });
});

describe("inspect", () => {
  const segments = (): string => join(folder, "data/logs/0/segments");
  const firstSegment = (): string =>
    join(
      segments(),
      readdirSync(segments())
        .filter((name) => name.endsWith(".log"))
        .toSorted()[0] ?? "",
    );

  it("shows the entries of a segment that is being written", async () => {
    await tidemark(["append", "seen", "--create"], "a\nb\n");
    const { status, out } = await tidemark(["inspect", firstSegment()]);
    expect(status).toBe(0);
    expect(out).toMatch(/ entry .* create seen\n/);
    expect(out).toMatch(/ 2 {2}ok +append seen\n/);
    expect(out).toMatch(/the header, \d+ frames and \d+ batch(es)?: intact\n/);
    const [head, ...entries] = lines((await tidemark(["inspect", firstSegment(), "-o", "json"])).out);
    expect(head).toMatchObject({ kind: "segment", sequence: 1, firstIndex: 1, intact: true });
    expect(entries.at(-1)).toMatchObject({
      commands: [{ kind: "append", streams: ["seen"] }],
      batches: [{ ok: true }],
    });
  });

  it("points at damage, whatever the file is called, and exits with 8", async () => {
    const [, ...entries] = lines((await tidemark(["inspect", firstSegment(), "-o", "json"])).out) as {
      readonly place: number;
      readonly bytes: number;
      readonly batches: readonly unknown[];
    }[];
    const hit = entries.find(({ batches }) => batches.length > 0) ?? { place: 0, bytes: 0 };
    const copy = join(folder, "a copy");
    copyFileSync(firstSegment(), copy);
    const bytes = readFileSync(copy);
    const at = hit.place + hit.bytes - 12;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(copy, bytes);
    const { status, out } = await tidemark(["inspect", copy, "--summary", "-o", "json"]);
    expect(status).toBe(8);
    const [report] = lines(out) as { readonly findings: readonly { readonly place: number; readonly end: number }[] }[];
    expect(report).toMatchObject({ intact: false, findings: [{ kind: "damaged" }] });
    const [finding] = report?.findings ?? [];
    expect(finding?.place).toBeLessThanOrEqual(at);
    expect(finding?.end).toBeGreaterThan(at);
  });

  it("knows a spare, the hard state, and what is none of ours", async () => {
    const hardState = join(folder, "data/logs/0/hard-state");
    const [slots] = lines((await tidemark(["inspect", hardState, "-o", "json", "--summary"])).out);
    expect(slots).toMatchObject({ kind: "hard-state", intact: true, findings: [] });
    const spare = join(
      segments(),
      readdirSync(segments())
        .filter((name) => name.endsWith(".log"))
        .toSorted()
        .at(-1) ?? "",
    );
    expect((await tidemark(["inspect", spare])).out).toContain("spare segment");
    const astray = await tidemark(["inspect", folder, join(folder, "nowhere")]);
    expect(astray.status).toBe(2);
    expect(astray.err).toContain(
      `${folder}: it is a folder; name the files in it; ${folder}/nowhere: there is no such file`,
    );
    const mixed = await tidemark(["inspect", file("notes", "no"), hardState]);
    expect(mixed.status).toBe(2);
    expect(mixed.out).toContain("hard state");
    expect(mixed.err).toContain("it is no segment");
  });

  it("a rewritten segment, whole and with a flipped bit anywhere", async () => {
    const batch = encodeBatch([{ value: utf8("a") }, { value: utf8("b") }], {});
    const hash = Buffer.from(batch).readBigUInt64LE(0);
    const head = { logId: 0, position: 5, ordinal: 1, streamId: 3, incarnation: 2, firstOffset: 7, logTime: 9 };
    const known = { ...head, span: 2, length: batch.length, identity: hash, hash, wasCompressed: false };
    const header = encodeCompactedHeader({ logId: 0, sequence: 6, firstIndex: 1, lastIndex: 9 });
    const first = encodeBatchFrame(known, batch, 6, header.length);
    const second = encodeBatchFrame({ ...known, firstOffset: 9 }, batch, 6, header.length + first.length);
    const whole = Buffer.concat([header, first, second]);
    const intact = await tidemark(["inspect", file("0000000000000006.compacted", whole), "-o", "json"]);
    expect(intact).toMatchObject({ status: 0, err: "" });
    expect(lines(intact.out)).toMatchObject([
      { kind: "compacted", sequence: 6, batches: 2, intact: true },
      { kind: "batch", stream: 3, firstOffset: 7, span: 2, position: 5, ordinal: 1, ok: true },
      { firstOffset: 9, ok: true },
    ]);
    const padding = first.length - 104 - batch.length;
    for (let at = 0; at < whole.length; at += 5) {
      const inFirst = at >= header.length && at < header.length + first.length;
      if (inFirst && at >= header.length + first.length - padding) continue;
      if (at >= whole.length - padding) continue;
      const hurt = Buffer.from(whole);
      hurt.writeUInt8(hurt.readUInt8(at) ^ 4, at);
      const { status } = await tidemark(["inspect", file("0000000000000006.compacted", hurt)]);
      expect({ at, status }).toEqual({ at, status: 8 });
    }
  });

  it("a hard state with a damaged slot", async () => {
    const bytes = readFileSync(join(folder, "data/logs/0/hard-state"));
    bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
    const { status, out } = await tidemark(["inspect", file("hard-state", bytes)]);
    expect(status).toBe(8);
    expect(out).toContain("damaged  bytes 0 to 511: slot 0 does not match its checksum");
  });
});
