/** What a node knows of the configurations it has yet to apply, and that it knows when it does not (R32). */
import { expect, it } from "vitest";
import { pendingConfigurations } from "../../log-server/node/consensus/pending-configurations.ts";
import { encodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { configurationOf } from "../../log-server/raft/configuration.ts";
import type { Damage } from "../../log-server/log/repair/damage.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Entry } from "../../src/wire/entry.ts";

const THREE = configurationOf(["n1", "n2", "n3"]);
const TWO = configurationOf(["n1", "n2"]);

/** Two at a time, from entries of which some are configurations, and one perhaps cannot be read. */
function logOf(damagedAt?: number): Parameters<typeof pendingConfigurations>[0] {
  const entries = Array.from({ length: 6 }, (_, place): Entry => {
    const configuration = { 1: TWO, 2: THREE, 5: TWO }[place];
    const head = configuration === undefined ? new Uint8Array(0) : encodeConfiguration(configuration);
    return { index: place + 1, term: 1, kind: configuration ? "configuration" : "noop", logTime: 0, head, batches: [] };
  });
  return {
    lastIndex: entries.length,
    entries: (from, to): Promise<Result<Entry[], Damage>> => {
      if (from === damagedAt) return Promise.resolve(err({ kind: "segment", segment: 1, message: "unreadable" }));
      const end = Math.min(to, from + 1, damagedAt !== undefined && damagedAt > from ? damagedAt - 1 : to);
      return Promise.resolve(ok(entries.slice(from - 1, end)));
    },
  };
}

it("names those behind what is applied, with their places", async () => {
  expect(await pendingConfigurations(logOf(), 2, 1)).toEqual({
    configurations: [
      { index: 3, term: 1, configuration: THREE },
      { index: 6, term: 1, configuration: TWO },
    ],
    hidden: false,
  });
});

it("says where damage may hide others", async () => {
  const found = await pendingConfigurations(logOf(4), 2, 1);
  expect(found).toEqual({ configurations: [{ index: 3, term: 1, configuration: THREE }], hidden: true });
  expect((await pendingConfigurations(logOf(4), 4, 1)).hidden).toBe(false);
});
