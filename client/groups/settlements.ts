/** What becomes of leased records, told to the server: many together, neighbours of one outcome as one. */
import type { GroupOutcome, GroupSettlement } from "../../src/wire/group-command.ts";
import type { Connection } from "../connection.ts";
import { TidemarkError } from "../error.ts";
import { GatheredCalls } from "../gathered-calls.ts";
import type { GroupPlace } from "./group-record.ts";
import { CLIENT_LIMITS } from "../limits.ts";

type Settling = { readonly place: GroupPlace; readonly outcome: GroupOutcome };

export class Settlements {
  readonly #connection: Connection;
  readonly #group: string;
  readonly #calls: GatheredCalls<Settling>;

  constructor(connection: Connection, group: string) {
    this.#connection = connection;
    this.#group = group;
    this.#calls = new GatheredCalls(connection.environment.clock, (items) => this.#send(items), {
      togetherMax: CLIENT_LIMITS.settledPerCommandMax,
      waitingMax: CLIENT_LIMITS.settlementsWaitingMax,
    });
  }

  /** Rejects with `fenced` where the lease is over; its `outcome` is `unknown` where an earlier attempt may be why. */
  settle(place: GroupPlace, outcome: GroupOutcome): Promise<void> {
    return this.#calls.add({ place, outcome });
  }

  async #send(items: readonly Settling[]): Promise<readonly (TidemarkError | undefined)[]> {
    const { settlements, firstItems } = runsOf(items);
    let uncertain = false;
    const result = await this.#connection.execute(
      { kind: "group-settle", id: this.#group, settlements },
      {
        onRetry: ({ outcome }) => {
          uncertain ||= outcome === "unknown";
        },
      },
    );
    if (result.kind !== "group-settled")
      throw new TidemarkError("protocol-error", `a settlement was answered with "${result.kind}"`);
    const refusals = items.map((): TidemarkError | undefined => undefined);
    for (const { item, offset, count } of result.refused) {
      const settlement = settlements[item];
      const first = firstItems[item];
      if (settlement === undefined || first === undefined)
        throw new TidemarkError("protocol-error", "something was refused that was not asked");
      for (let at = offset; at < offset + count; at += 1) {
        refusals[first + at - settlement.offset] = new TidemarkError(
          "fenced",
          `the lease of the record at offset ${at} of "${settlement.stream}" is over`,
          { outcome: uncertain ? "unknown" : "not-applied" },
        );
      }
    }
    return refusals;
  }
}

/** In the order given; with the place among the items that each run begins at. */
function runsOf(items: readonly Settling[]): {
  readonly settlements: readonly GroupSettlement[];
  readonly firstItems: readonly number[];
} {
  const settlements: GroupSettlement[] = [];
  const firstItems: number[] = [];
  for (const [at, { place, outcome }] of items.entries()) {
    const last = settlements.at(-1);
    if (last !== undefined && continues(last, place, outcome)) {
      settlements[settlements.length - 1] = { ...last, count: last.count + 1 };
      continue;
    }
    const { stream, incarnation, offset, generation } = place;
    settlements.push({ stream, incarnation, offset, count: 1, generation, outcome });
    firstItems.push(at);
  }
  return { settlements, firstItems };
}

function continues(run: GroupSettlement, place: GroupPlace, outcome: GroupOutcome): boolean {
  return (
    run.stream === place.stream &&
    run.incarnation === place.incarnation &&
    run.generation === place.generation &&
    run.offset + run.count === place.offset &&
    isSame(run.outcome, outcome)
  );
}

function isSame(a: GroupOutcome, b: GroupOutcome): boolean {
  if (a.kind === "nack") return b.kind === "nack" && a.delayMs === b.delayMs && a.reason === b.reason;
  if (a.kind === "extend") return b.kind === "extend" && a.leaseMs === b.leaseMs;
  return a.kind === b.kind;
}
