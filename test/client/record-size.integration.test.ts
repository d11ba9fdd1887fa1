/** W33 at its real size, through the SDK and the command line, against a real node: the last record that fits, and the next. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, TidemarkError } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { RECORD_LIMITS } from "../../src/record/limits.ts";
import { file, shell } from "../cli/shell.ts";

const BYTES_MAX = RECORD_LIMITS.recordBytesMax;

let node: RunningNode;

beforeAll(async () => {
  node = await startNode();
  const made = await fetch(`${node.url}/v1/stream/s`, { method: "PUT", headers: { "content-type": "text/plain" } });
  expect(made.status).toBe(201);
});

afterAll(() => node.close());

async function postPlain(bytes: number): Promise<number> {
  const body = new Uint8Array(bytes);
  const headers = { "content-type": "text/plain" };
  return (await fetch(`${node.url}/v1/stream/s`, { method: "POST", headers, body })).status;
}

describe("W33: the largest record", () => {
  it.each(["http", "ws"])("by the SDK over %s, with a key and a header", async (scheme) => {
    await using client = connect(node.url.replace("http", scheme));
    const stream = client.stream("s");
    const parts = { key: "kkk", headers: { é: "hhhh" } };
    const { offset } = await stream.append({ ...parts, value: new Uint8Array(BYTES_MAX - 9) });
    for await (const record of stream.read({ from: offset })) expect(record.value?.length).toBe(BYTES_MAX - 9);
    const refused = stream.append({ ...parts, value: new Uint8Array(BYTES_MAX - 8) });
    await expect(refused).rejects.toMatchObject({ code: "record-too-large", outcome: "not-applied" });
    await expect(refused).rejects.toBeInstanceOf(TidemarkError);
  });

  it("what plain HTTP took is appended again by the SDK", async () => {
    expect(await postPlain(BYTES_MAX)).toBe(204);
    expect(await postPlain(BYTES_MAX + 1)).toBe(413);
    await using client = connect(node.url);
    const stream = client.stream("s");
    const { offset } = await stream.append(new Uint8Array(BYTES_MAX));
    const [taken] =
      (
        await stream
          .read({ from: offset - 1 })
          .batches()
          .next()
      ).value ?? [];
    expect(taken?.value?.length).toBe(BYTES_MAX);
    expect(await stream.append(taken?.value ?? "")).toMatchObject({ offset: offset + 1 });
  });

  it.each(["http", "ws"])(
    "a transaction over %s that is larger than any server takes costs only itself",
    async (scheme) => {
      await using client = connect(node.url.replace("http", scheme));
      const stream = client.stream("s");
      const before = (await stream.describe()).nextOffset;
      // Of random bytes, or it would not be large.
      const value = randomBytes(BYTES_MAX);
      const large = client.transaction().append("s", value).append("s", value).append("s", value);
      const meanwhile = stream.append("small");
      await expect(large.commit()).rejects.toMatchObject({ code: "body-too-large", outcome: "not-applied" });
      expect(await meanwhile).toMatchObject({ offset: before });
      await client.transaction().append("s", value).append("s", value).commit();
      expect((await stream.describe()).nextOffset).toBe(before + 3);
    },
  );

  it("by the command line", async () => {
    for (const [bytes, status] of [
      [BYTES_MAX, 0],
      [BYTES_MAX + 1, 2],
    ] as const) {
      const s = shell({ url: node.url });
      expect(await s.tidemark("append", "s", "--format", "whole", file("large", new Uint8Array(bytes)))).toBe(status);
      expect(s.stderr.text.includes("record-too-large")).toBe(status !== 0);
    }
  });
});
