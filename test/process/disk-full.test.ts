/**
 * A disk that fills up, on a small tmpfs: appends are refused with 507 before there is no room, and everything else goes
 * on; with room again so do appends, without a restart. Nothing acknowledged is lost (P44). Needs root, for the mount.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fill, freeBytes, smallDisk } from "./folders.ts";
import { append, type Answer, create, describe as show, head, readAll, remove } from "./http.ts";
import { Server, type ServerOptions } from "./server.ts";

const MIB = 1024 * 1024;
const DISK_BYTES = 24 * MIB;
const BODY_BYTES = 100_000;
const WRITERS = 8;
const BINARY = "application/octet-stream";

const OPTIONS: ServerOptions = {
  args: ["--low-water-bytes", "4MiB"],
  limits: { housekeepingEveryMs: 1_000 },
};

/** Bodies that tell themselves apart: the number in front, and all of it. */
function bodyOf(number: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(BODY_BYTES).fill(number % 251);
  new DataView(body.buffer).setUint32(0, number);
  return body;
}

type Filled = { readonly acknowledged: number[]; readonly refusal: Answer };

/** Several writers at once, until each is refused. */
async function appendUntilRefused(url: string, name: string, first: number): Promise<Filled> {
  const acknowledged: number[] = [];
  let next = first;
  const write = async (): Promise<Answer> => {
    while ((next - first) * BODY_BYTES < 2 * DISK_BYTES) {
      const number = next;
      next += 1;
      const answer = await append(url, name, { body: bodyOf(number) });
      if (answer.status !== 204) return answer;
      acknowledged.push(number);
    }
    throw new Error("the disk took more than it holds");
  };
  const [refusal] = await Promise.all(Array.from({ length: WRITERS }, write));
  return { acknowledged, refusal: refusal as Answer };
}

/** The numbers of the bodies that are there, each found whole, in order of place. */
async function numbersIn(url: string, name: string): Promise<number[]> {
  const { bodies } = await readAll(url, name);
  const whole = Buffer.concat(bodies);
  expect(whole.length % BODY_BYTES).toBe(0);
  return Array.from({ length: whole.length / BODY_BYTES }, (_, place) => {
    const number = whole.readUInt32BE(place * BODY_BYTES);
    expect(whole.subarray(place * BODY_BYTES, (place + 1) * BODY_BYTES).equals(bodyOf(number))).toBe(true);
    return number;
  });
}

function expectRefused(answer: Answer): void {
  expect(answer.status, show(answer)).toBe(507);
  expect(answer.code).toBe("disk-full");
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

describe("a disk that fills up", () => {
  it("refuses appends with room to spare, serves on, and takes appends again once streams are deleted", async () => {
    const disk = smallDisk(DISK_BYTES);
    const server = await Server.start(join(disk, "data"), OPTIONS);
    const { url } = server;
    for (const name of ["kept", "dropped"]) expect((await create(url, name, BINARY)).status).toBe(201);
    const kept = [0, 1, 2];
    for (const number of kept) expect((await append(url, "kept", { body: bodyOf(number) })).status).toBe(204);

    const { acknowledged, refusal } = await appendUntilRefused(url, "dropped", 100);
    expectRefused(refusal);
    expect(freeBytes(disk)).toBeGreaterThan(0);
    expect((await create(url, "new", BINARY)).code).toBe("disk-full");
    expect(sorted(await numbersIn(url, "dropped"))).toEqual(sorted(acknowledged));
    expect(await numbersIn(url, "kept")).toEqual(kept);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    expect((await remove(url, "dropped")).status).toBe(204);
    await server.logged("disk-freed");
    expect((await append(url, "kept", { body: bodyOf(3) })).status).toBe(204);
    expect(await numbersIn(url, "kept")).toEqual([...kept, 3]);
    expect((await head(url, "dropped")).status).toBe(404);
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it("without a byte left it serves, deletes, stops and starts; with space again it appends", async () => {
    const disk = smallDisk(DISK_BYTES);
    const data = join(disk, "data");
    let server = await Server.start(data, OPTIONS);
    for (const name of ["kept", "other"]) expect((await create(server.url, name, BINARY)).status).toBe(201);
    const kept = Array.from({ length: 30 }, (_, number) => number);
    for (const number of kept) expect((await append(server.url, "kept", { body: bodyOf(number) })).status).toBe(204);
    const filler = fill(disk);
    await server.logged("disk-full");

    for (const restart of ["SIGTERM", "SIGKILL"] as const) {
      expectRefused(await append(server.url, "kept", { body: bodyOf(99) }));
      expect(await numbersIn(server.url, "kept")).toEqual(kept);
      expect([204, 404]).toContain((await remove(server.url, "other")).status);
      fill(disk);
      const ended = await (restart === "SIGTERM" ? server.stop() : server.kill());
      if (restart === "SIGTERM") expect(ended, ended.stderr).toMatchObject({ code: 0 });
      server = await Server.start(data, OPTIONS);
      expect(await numbersIn(server.url, "kept")).toEqual(kept);
    }

    rmSync(filler);
    await server.logged("disk-freed");
    expect((await append(server.url, "kept", { body: bodyOf(30) })).status).toBe(204);
    expect(await numbersIn(server.url, "kept")).toEqual([...kept, 30]);
    expect((await head(server.url, "other")).status).toBe(404);
  });
});
