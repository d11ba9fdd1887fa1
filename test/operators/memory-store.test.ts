/** The store in memory. */
import { expect, it } from "vitest";
import { MemoryStore } from "../../src/operators/state/memory-store.ts";
import { stateContract } from "./state-contract.ts";

stateContract("MemoryStore", () => Promise.resolve({ store: new MemoryStore() }));

it("counts its keys", () => {
  const store = new MemoryStore();
  for (const key of [1, 2, 2, 3]) store.put(Uint8Array.of(key), Uint8Array.of(0));
  store.delete(Uint8Array.of(1));
  store.delete(Uint8Array.of(9));
  expect(store.size).toBe(2);
});
