/** What a task does in a cluster whose feature level was not raised yet. */
import { expect, it } from "vitest";
import { orBeforeUpgrade } from "../../client/apps/or-before-upgrade.ts";
import { TidemarkError } from "../../client/error.ts";

it("does as before where the cluster does not have it yet, and only there", async () => {
  const done: string[] = [];
  const call = (what: string, error?: TidemarkError) => (): Promise<unknown> => {
    done.push(what);
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  };
  await orBeforeUpgrade(call("new"), call("old"));
  await orBeforeUpgrade(call("new", new TidemarkError("upgrade-needed", "at level 4")), call("old"));
  expect(done).toEqual(["new", "new", "old"]);
  const refusal = new TidemarkError("task-fenced", "a newer epoch");
  await expect(orBeforeUpgrade(call("new", refusal), call("old"))).rejects.toBe(refusal);
  expect(done).toEqual(["new", "new", "old", "new"]);
});
