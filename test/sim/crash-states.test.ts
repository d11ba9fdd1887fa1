/** What counts as a state that was seen: were too much taken for the same, crashes would be tried and not looked at. */
import { expect, it } from "vitest";
import { utf8 } from "../../src/lib/bytes.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import { CrashStates } from "./crash-states.ts";

async function diskWith(path: string, bytes: string): Promise<SimDisk> {
  const disk = new SimDisk();
  const file = await disk.open(path, "create");
  await file.write(0, [utf8(bytes)]);
  return disk;
}

async function storeWith(value: string): Promise<SimKv> {
  const kv = new SimKv();
  await kv.write([{ kind: "put", key: utf8("key"), value: utf8(value) }]);
  return kv;
}

it("a state is new for its files, its folders, its rows and the progress until then, and known again without a difference", async () => {
  const states = new CrashStates();
  expect(states.isNew({ done: 1 }, await diskWith("file", "one"))).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("file", "one"))).toBe(false);
  expect(states.isNew({ done: 2 }, await diskWith("file", "one"))).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("file", "two"))).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("other", "one"))).toBe(true);
  const withFolder = await diskWith("file", "one");
  await withFolder.createDirectory("folder");
  expect(states.isNew({ done: 1 }, withFolder)).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("file", "one"), await storeWith("a"))).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("file", "one"), await storeWith("b"))).toBe(true);
  expect(states.isNew({ done: 1 }, await diskWith("file", "one"), await storeWith("a"))).toBe(false);
});
