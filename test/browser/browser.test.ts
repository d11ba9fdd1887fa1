/**
 * The SDK in a real browser: a page appends and tails, over HTTP and over WebSocket, at home and from another
 * site. What runs in the page is sent there as text, so it uses no syntax that is compiled into helpers.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type * as Tidemark from "../../client/index.ts";
import { freePort } from "../../client/examples/server-child.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { ThreeNodes } from "../http/three-nodes.ts";
import { PageServer } from "./page-server.ts";

declare global {
  /** In the page. */
  var tidemark: typeof Tidemark;
}

const TOKEN = "a-token/that+is-long-enough~for.anyone";
/** Resolves to this machine in the browser, and is another site to a server. */
const ELSEWHERE = "elsewhere.example";
const CHROMIUM = {
  executablePath: "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`,
  ],
};

let browser: Browser;
let pages: PageServer;
const folders: string[] = [];
const nodes: RunningNode[] = [];

beforeAll(async () => {
  pages = await PageServer.start();
  browser = await chromium.launch(CHROMIUM);
});

afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const node of nodes.splice(0)) await node.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await browser.close();
  await pages.close();
});

async function startServer(
  options: { readonly token?: string; readonly listen?: string; readonly folder?: string } = {},
): Promise<RunningNode> {
  const { token, listen = "127.0.0.1:0", folder = newFolder() } = options;
  const node = await startNode({
    dataDirectory: folder,
    listen,
    segmentBytes: 4 * 1024 * 1024,
    ...(token !== undefined && { token }),
  });
  nodes.push(node);
  return node;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-browser-"));
  folders.push(folder);
  return folder;
}

/** A page that has loaded the SDK. */
async function open(host = "127.0.0.1"): Promise<Page> {
  const page = await browser.newPage();
  const failures: string[] = [];
  page.on("pageerror", (error) => failures.push(error.message));
  await page.goto(`http://${host}:${pages.port}/`);
  await page
    .waitForFunction(() => "tidemark" in globalThis, undefined, { timeout: 20_000 })
    .catch((cause: unknown) => {
      throw new Error(`the SDK did not load: ${failures.join("; ")}`, { cause });
    });
  return page;
}

/** What a page that appends and tails tells of itself. */
interface Tailed {
  readonly seen: string[];
  readonly statuses: string[];
  /** How many records were acknowledged. */
  readonly appended: number;
  enough: boolean;
  readonly error: string;
}

describe.each(["http", "ws"])("in a page, over %s", (scheme) => {
  it("appends, reads, produces and tails", async () => {
    const node = await startServer();
    const page = await open();
    const url = node.url.replace("http", scheme);
    const seen = await page.evaluate(async (at) => {
      const client = tidemark.connect(at);
      const stream = client.stream("orders/eu");
      const { created } = await stream.create({ contentType: "application/json" });
      const seen: unknown[] = [];
      const tailed = (async () => {
        for await (const record of stream.subscribe()) seen.push([record.offset, record.json(), record.keyText()]);
      })();
      const { offset } = await stream.append({ key: "ü", json: { id: 0 } });
      const producer = stream.producer();
      await producer.appendAll(Array.from({ length: 500 }, (_, id) => ({ json: { id: id + 1 } })));
      await stream.close();
      await tailed;
      const read: number[] = [];
      for await (const record of stream.read({ from: 498 })) read.push(record.offset);
      const streams: Tidemark.StreamInfo[] = [];
      for await (const info of client.streams({ prefix: "orders/" })) streams.push(info);
      await client.close();
      return { created, offset, seen, read, streams };
    }, url);
    expect(seen).toMatchObject({ created: true, offset: 0, read: [498, 499, 500], streams: [{ name: "orders/eu" }] });
    expect(seen.seen).toHaveLength(501);
    expect(seen.seen.slice(0, 2)).toEqual([
      [0, { id: 0 }, "ü"],
      [1, { id: 1 }, undefined],
    ]);
    expect(new Set(seen.seen.map((each) => (each as [number])[0])).size).toBe(501);
  });

  it("goes on, without gap or repeat, when the server was gone", async () => {
    const folder = newFolder();
    const listen = `127.0.0.1:${await freePort()}`;
    const node = await startServer({ folder, listen });
    const page = await open();
    await page.evaluate((at) => {
      const client = tidemark.connect(at);
      const stream = client.stream("s");
      const state = { seen: [] as string[], statuses: [] as string[], appended: 0, enough: false, error: "" };
      const work = async (): Promise<void> => {
        await stream.create();
        const producer = stream.producer({ batchBytes: 200 });
        const tailed = (async () => {
          for await (const record of stream.subscribe({ onStatus: ({ kind }) => state.statuses.push(kind) }))
            state.seen.push(`${record.offset}:${record.text()}`);
        })();
        // Until told: an end of its own could come before the server's.
        for (; !state.enough; state.appended += 1) {
          await producer.ready();
          await producer.append(String(state.appended));
        }
        await producer.close();
        await stream.close();
        await tailed;
        await client.close();
      };
      Object.assign(globalThis, { state, work: work().catch((error: unknown) => (state.error = String(error))) });
    }, `${scheme}://${listen}`);
    const sees = (count: number): Promise<unknown> =>
      page.waitForFunction((count) => (globalThis as unknown as { state: Tailed }).state.seen.length > count, count);
    await sees(50);
    await node.close();
    // The subscriber has met the gap before there is a server again.
    await page.waitForFunction(() =>
      (globalThis as unknown as { state: Tailed }).state.statuses.includes("disconnected"),
    );
    await startServer({ folder, listen });
    await sees(await page.evaluate(() => (globalThis as unknown as { state: Tailed }).state.seen.length + 50));
    const state = await page.evaluate(async () => {
      const { work, state } = globalThis as unknown as { work: Promise<void>; state: Tailed };
      state.enough = true;
      await work;
      return state;
    });
    expect(state.error).toBe("");
    expect(state.seen).toEqual(Array.from({ length: state.appended }, (_, at) => `${at}:${at}`));
  });

  it("goes on at another node of a cluster when one is gone, without gap or repeat", async () => {
    const cluster = await ThreeNodes.started();
    try {
      const [{ name: at }] = cluster.followers;
      const urls = cluster.up.toSorted((a) => (a.name === at ? -1 : 1)).map(({ url }) => url.replace("http", scheme));
      const page = await open();
      await page.evaluate((known) => {
        const client = tidemark.connect(known);
        const stream = client.stream("s");
        const state = { seen: [] as number[], error: "" };
        const work = async (): Promise<void> => {
          await stream.create();
          const tailed = (async () => {
            for await (const record of stream.subscribe()) state.seen.push(record.json());
          })();
          for (let count = 0; count < 300; count += 1) await stream.append({ json: count });
          await stream.close();
          await tailed;
          await client.close();
        };
        Object.assign(globalThis, { state, work: work().catch((error: unknown) => (state.error = String(error))) });
      }, urls);
      await page.waitForFunction(() => (globalThis as unknown as { state: { seen: [] } }).state.seen.length > 50);
      await cluster.cutOff(at);
      const state = await page.evaluate(async () => {
        const { work, state } = globalThis as unknown as {
          work: Promise<void>;
          state: { seen: number[]; error: string };
        };
        await work;
        return state;
      });
      expect(state).toEqual({ seen: Array.from({ length: 300 }, (_, count) => count), error: "" });
    } finally {
      await cluster.close();
    }
  });

  it("from another site: with the token only, and with its reason", async () => {
    const unguarded = await startServer();
    const guarded = await startServer({ token: TOKEN });
    const page = await open(ELSEWHERE);
    const attempt = (url: string, token?: string): Promise<string> =>
      page.evaluate(
        async ([at, secret]) => {
          const client = tidemark.connect(at as string, {
            timeout: 2_000,
            ...(secret !== undefined && { token: secret }),
          });
          try {
            await client.stream("s").create();
            return `appended at ${(await client.stream("s").append("x")).offset}`;
          } catch (error) {
            return error instanceof tidemark.TidemarkError ? error.code : String(error);
          } finally {
            await client.close();
          }
        },
        [url.replace("http", scheme), token],
      );
    expect(await attempt(guarded.url, TOKEN)).toBe("appended at 0");
    expect(await attempt(guarded.url)).toBe("unauthorized");
    // The browser keeps the reason from the page.
    expect(await attempt(unguarded.url)).toBe("timeout");
  });
});

it("there are no diagnostics channels, and nothing else of Node", async () => {
  const page = await open();
  expect(await page.evaluate(() => typeof process)).toBe("undefined");
  expect(await page.evaluate(() => Object.keys(tidemark).toSorted())).toContain("connect");
});
