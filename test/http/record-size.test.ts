/** W33: a record is as large on one face of the server as on any other. With a small bound; what each framing adds differs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { batchOf } from "../../log-server/http/body-batch.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest } from "../../src/wire/request.ts";
import { decodeResponse } from "../../src/wire/response.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const BYTES_MAX = 16 * 1024;

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ http: { ...HTTP_LIMITS, recordBytesMax: BYTES_MAX } });
  for (const [name, type] of [
    ["text", "text/plain"],
    ["json", "application/json"],
  ] as const) {
    await fetch(`${server.url}/v1/stream/${name}`, { method: "PUT", headers: { "content-type": type } });
  }
});

afterAll(() => server.close());

/** The code of the refusal, or `accepted`. */
async function post(path: string, contentType: string, body: string | Uint8Array): Promise<string> {
  const answer = await fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": contentType },
    body: body as Uint8Array<ArrayBuffer>,
  });
  return answer.ok ? "accepted" : ((await answer.json()) as { readonly code: string }).code;
}

/** A record whose parts together have so many bytes: a key of 3, a header of 2 and 4, and the value. */
function full(bytes: number): StreamRecord {
  return {
    key: new Uint8Array(3).fill(0x6b),
    headers: [["é", new Uint8Array(4).fill(0x68)]],
    timestamp: 1_700_000_000_000,
    value: new Uint8Array(bytes - 9).fill(0x78),
  };
}

function fullJson(bytes: number): object {
  return { key: "kkk", headers: { é: "hhhh" }, timestamp: 1_700_000_000_000, value: "x".repeat(bytes - 9) };
}

async function postFrame(record: StreamRecord): Promise<string> {
  const command = { kind: "append", stream: "text", close: false, batch: batchOf([record]) } as const;
  const answer = await fetch(`${server.url}/v1/frames`, {
    method: "POST",
    headers: { "content-type": "application/x-tidemark-frames" },
    body: encodeRequest({ kind: "command", command }, 0) as Uint8Array<ArrayBuffer>,
  });
  const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()), 1 << 20, 1);
  const frame = frames.ok ? frames.value[0] : undefined;
  if (frame === undefined) throw new Error("no frame came back");
  const response = decodeResponse(frame);
  if (!response.ok) throw new Error(response.error.message);
  return response.value.kind === "error" ? response.value.code : "accepted";
}

describe("W33: the largest record", () => {
  const appends: readonly (readonly [string, (bytes: number) => Promise<string>])[] = [
    ["the body of a stream", (bytes) => post("/v1/stream/text", "text/plain", "x".repeat(bytes))],
    ["a message of JSON", (bytes) => post("/v1/stream/json", "application/json", `["${"x".repeat(bytes - 2)}"]`)],
    ["a JSON record", (bytes) => post("/v1/records/text", "application/json", JSON.stringify(fullJson(bytes)))],
    ["a line of NDJSON", (bytes) => post("/v1/records/text", "application/x-ndjson", JSON.stringify(fullJson(bytes)))],
    ["a batch", (bytes) => post("/v1/records/text", "application/x-tidemark-batch", encodeBatch([full(bytes)]))],
    [
      "two in a batch",
      (bytes) => post("/v1/records/text", "application/x-tidemark-batch", encodeBatch([full(9), full(bytes)])),
    ],
    ["a frame", (bytes) => postFrame(full(bytes))],
    [
      "an operation of a transaction",
      (bytes) =>
        post(
          "/v1/transactions",
          "application/json",
          JSON.stringify({ operations: [{ append: "text", records: [fullJson(bytes)] }] }),
        ),
    ],
  ];
  it.each(appends)("%s", async (_what, append) => {
    expect(await append(BYTES_MAX)).toBe("accepted");
    expect(await append(BYTES_MAX + 1)).toBe("record-too-large");
  });

  it("what one face took, any other appends again", async () => {
    const taken = await fetch(`${server.url}/v1/records/text`, { headers: { accept: "application/x-ndjson" } });
    for (const line of (await taken.text()).trim().split("\n")) {
      const { value, key, headers, timestamp } = JSON.parse(line) as Readonly<Record<string, unknown>>;
      const again = JSON.stringify({ value, ...(key !== undefined && { key, headers }), timestamp });
      expect(await post("/v1/records/text", "application/json", again)).toBe("accepted");
    }
  });

  it("its headers are counted, too", async () => {
    const headers = Array.from({ length: 1_025 }, (_, at) => [`h${at}`, ""]);
    const body = (count: number): string => JSON.stringify({ value: "v", headers: headers.slice(0, count) });
    expect(await post("/v1/records/text", "application/json", body(1_024))).toBe("accepted");
    expect(await post("/v1/records/text", "application/json", body(1_025))).toBe("record-too-large");
  });
});
