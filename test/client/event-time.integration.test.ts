/** W29: an event time before 1970 goes in by any face and comes out of every one as it was. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { TIMESTAMP_MAX_MS } from "../../src/record/record.ts";
import { shell } from "../cli/shell.ts";
import { FrameClient } from "../ws/frame-client.ts";

const TIMES = [-1, 0, -TIMESTAMP_MAX_MS, TIMESTAMP_MAX_MS];

let node: RunningNode;

beforeAll(async () => {
  node = await startNode();
});

afterAll(() => node.close());

type Append = (stream: string, timestamps: readonly number[]) => Promise<unknown>;

async function post(stream: string, contentType: string, body: string | Uint8Array): Promise<void> {
  const headers = { "content-type": contentType };
  const init = { method: "POST", headers, body: body as Uint8Array<ArrayBuffer> };
  const answer = await fetch(`${node.url}/v1/records/${stream}`, init);
  expect(answer.status).toBe(200);
}

function jsonRecords(timestamps: readonly number[]): readonly object[] {
  return timestamps.map((timestamp) => ({ value: "v", timestamp }));
}

function bySdk(scheme: string): Append {
  return async (stream, timestamps) => {
    await using client = connect(node.url.replace("http", scheme));
    await client.stream(stream).append(timestamps.map((timestamp) => ({ value: "v", timestamp })));
  };
}

const APPENDS: readonly (readonly [string, Append])[] = [
  ["json", (stream, times) => post(stream, "application/json", JSON.stringify(jsonRecords(times)))],
  ["ndjson", (stream, times) => post(stream, "application/x-ndjson", jsonRecords(times).map(toLine).join(""))],
  [
    "batch",
    (stream, times) => {
      const records = times.map((timestamp) => ({ value: utf8("v"), timestamp }));
      return post(stream, "application/x-tidemark-batch", encodeBatch(records));
    },
  ],
  ["sdk", bySdk("http")],
  ["ws", bySdk("ws")],
  ["text", (stream, times) => say({ append: stream, records: jsonRecords(times) })],
  [
    "cli",
    async (stream, times) => {
      const s = shell({ url: node.url });
      s.stdin.end(jsonRecords(times).map(toLine).join(""));
      expect(await s.tidemark("append", stream, "--format", "records")).toBe(0);
    },
  ],
];

function toLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

async function say(message: unknown): Promise<Record<string, unknown>> {
  const client = await FrameClient.open(node.url);
  client.say(message);
  const answer = await client.nextText();
  client.close();
  return answer;
}

type Timed = { readonly timestamp: number };

function timesOf(records: readonly Timed[]): readonly number[] {
  return records.map(({ timestamp }) => timestamp);
}

async function lines(stream: string, accept: string, prefix: string): Promise<readonly number[]> {
  const answer = await fetch(`${node.url}/v1/records/${stream}`, { headers: { accept } });
  const text = await answer.text();
  const shown = text.split("\n").filter((line) => line.startsWith(`${prefix}{"offset"`));
  return timesOf(shown.map((line) => JSON.parse(line.slice(prefix.length)) as Timed));
}

async function sdkTimes(stream: string, scheme: string): Promise<readonly number[]> {
  await using client = connect(node.url.replace("http", scheme));
  const found: number[] = [];
  for await (const record of client.stream(stream).read()) found.push(record.timestamp);
  return found;
}

describe("event times before 1970", () => {
  it.each(APPENDS)("sent as %s", async (how, append) => {
    const stream = `times/${how}`;
    await fetch(`${node.url}/v1/stream/${stream}`, { method: "PUT", headers: { "content-type": "text/plain" } });
    await append(stream, TIMES);
    expect(await lines(stream, "application/x-ndjson", "")).toEqual(TIMES);
    // So that the events end.
    await fetch(`${node.url}/v1/stream/${stream}`, { method: "POST", headers: { "stream-closed": "true" } });
    expect(await lines(stream, "text/event-stream", "data: ")).toEqual(TIMES);
    expect(await sdkTimes(stream, "http")).toEqual(TIMES);
    expect(await sdkTimes(stream, "ws")).toEqual(TIMES);
    expect(timesOf((await say({ read: stream }))["records"] as readonly Timed[])).toEqual(TIMES);
    const s = shell({ url: node.url });
    expect(await s.tidemark("read", stream, "-o", "json")).toBe(0);
    const printed = s.stdout.text.trim().split("\n");
    expect(timesOf(printed.map((line) => JSON.parse(line) as Timed))).toEqual(TIMES);
  });
});
