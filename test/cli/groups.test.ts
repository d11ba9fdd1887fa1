/** `tidemark groups` against a whole server: what is printed, and the exit statuses. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { shell, type Shell } from "./shell.ts";

let node: RunningNode;

beforeAll(async () => {
  node = await startNode();
});

afterAll(async () => {
  await node.close();
});

type Ran = { readonly status: number; readonly out: string; readonly err: string };

async function tidemark(args: readonly string[], input = ""): Promise<Ran> {
  const s = shell({ url: node.url });
  s.stdin.end(input);
  const status = await s.tidemark(...args);
  return { status, out: s.stdout.text, err: s.stderr.text };
}

/** What must succeed, as JSON. */
async function json(...args: readonly string[]): Promise<unknown[]> {
  const { status, out, err } = await tidemark([...args, "-o", "json"]);
  expect([status, err]).toEqual([0, ""]);
  const text = out.trim();
  return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line) as unknown);
}

describe("groups", () => {
  it("create, list, show, lag, delete", async () => {
    await tidemark(["append", "life/a", "--create"], "0\n1\n");
    const created = await tidemark(["groups", "create", "life-p", "--pattern", "life/*", "--lease", "10s"]);
    expect(created).toEqual({ status: 0, out: "created life-p\n", err: "" });
    expect((await tidemark(["groups", "create", "life-p", "--pattern", "life/*", "--lease", "10s"])).out).toBe(
      "there is already life-p\n",
    );
    expect((await tidemark(["groups", "create", "life-p", "--pattern", "life/*"])).status).toBe(4);
    const queue = ["life-q", "life/a", "--queue", "--attempts", "3", "--dead-letter", "life-dead"];
    expect(await json("groups", "create", ...queue, "--retry-delay", "5s")).toEqual([{ id: "life-q", created: true }]);

    const listed = await tidemark(["groups", "list", "life-"]);
    expect(listed.out).toMatch(
      /^GROUP +MODE +MEMBERS +STREAMS +LAG .*\nlife-p +partitions +0 +1 +2 .*\nlife-q +queue .*\n$/,
    );
    expect(await json("groups", "list", "life-", "--limit", "1")).toMatchObject([{ id: "life-p", lag: 2 }]);
    const shown = await tidemark(["groups", "show", "life-q"]);
    expect(shown.out).toMatch(/^attempts +at most 3$/m);
    expect(shown.out).toMatch(/^retried +after 5s$/m);
    expect(shown.out).toMatch(/^dead letters +to life-dead: 0 so far$/m);
    expect(shown.out).toMatch(/^lag +2 records \(0 in flight, 0 resting, 0 dead\)$/m);
    expect(await json("groups", "show", "life-q")).toMatchObject([
      { id: "life-q", mode: "queue", attemptsMax: 3, progress: [{ stream: "life/a", committed: 0, tail: 2 }] },
    ]);
    expect((await tidemark(["groups", "lag", "life-p"])).out).toMatch(
      /^STREAM +OWNER +COMMITTED +TAIL +LAG +BEHIND +IN FLIGHT\nlife\/a +- +0 +2 +2 +\S+ +0\n$/,
    );
    expect(await json("groups", "lag", "life-p")).toMatchObject([{ stream: "life/a", lag: 2 }]);

    expect((await tidemark(["groups", "delete", "life-p", "life-q"])).out).toBe("deleted life-p\ndeleted life-q\n");
    const gone = await tidemark(["groups", "show", "life-p"]);
    expect([gone.status, gone.err]).toEqual([3, 'tidemark: there is no group "life-p" (group-not-found)\n']);
  });

  it("reset only shows what it would do, until it is told to", async () => {
    await tidemark(["append", "r/a", "--create"], "0\n1\n2\n");
    await tidemark(["append", "r/b", "--create"], "0\n");
    await tidemark(["groups", "create", "r", "r/a", "r/b", "--queue"]);
    const dry = await tidemark(["groups", "reset", "r", "--to", "end"]);
    expect(dry.out).toMatch(
      /^STREAM +FROM +TO +CHANGE\nr\/a +0 +3 +\+3\nr\/b +0 +1 +\+1\nnothing was changed: add --yes to do it\n$/,
    );
    expect(await json("groups", "show", "r")).toMatchObject([{ lag: 4 }]);
    const asked = await tidemark(["groups", "reset", "r", "--to", "end", "--dry-run"]);
    expect([asked.status, asked.out]).toEqual([0, dry.out]);
    expect((await tidemark(["groups", "reset", "r", "--to", "end", "--dry-run", "--yes"])).status).toBe(2);
    expect((await tidemark(["groups", "reset", "r", "--to", "end", "--yes"])).out).toMatch(/reset r, 2 streams\n$/);
    expect(await json("groups", "reset", "r", "--to", "1", "--stream", "r/a", "--yes")).toEqual([
      { id: "r", dryRun: false, busy: false, positions: [{ stream: "r/a", from: 3, to: 1, tail: 3 }] },
    ]);
    expect(await json("groups", "reset", "r", "--to", "1h")).toMatchObject([
      { dryRun: true, positions: [{ to: 0 }, { to: 0 }] },
    ]);
    expect((await tidemark(["groups", "reset", "r", "--to", "1"])).err).toMatch(/say with --stream .*invalid-argument/);
    expect((await tidemark(["groups", "reset", "r", "--to", "never"])).status).toBe(2);
    expect((await tidemark(["groups", "reset", "r"])).status).toBe(2);
    await tidemark(["groups", "take", "r"]);
    expect((await tidemark(["groups", "reset", "r", "--to", "start"])).out).toContain("it needs --force\n");
    const busy = await tidemark(["groups", "reset", "r", "--to", "start", "--yes"]);
    expect([busy.status, busy.err]).toEqual([4, expect.stringContaining("(group-busy)")]);
    expect((await tidemark(["groups", "reset", "r", "--to", "start", "--yes", "--force"])).status).toBe(0);
  });

  it("consume prints what it acknowledges, in both modes", async () => {
    await tidemark(["streams", "create", "c", "--content-type", "application/json"]);
    await tidemark(["append", "c"], '{"n":0}\n1\n"two"\n');
    for (const id of ["c-queue", "c-shared"]) {
      await tidemark(["groups", "create", id, "c", ...(id === "c-queue" ? ["--queue"] : [])]);
      const first = await tidemark(["groups", "consume", id, "--limit", "1", "--member", "me"]);
      expect(first).toEqual({ status: 0, out: '{"n":0}\n', err: "" });
      expect(await json("groups", "consume", id, "--limit", "2")).toMatchObject([
        { stream: "c", offset: 1, value: 1 },
        { stream: "c", offset: 2, value: "two" },
      ]);
      expect(await json("groups", "show", id)).toMatchObject([{ lag: 0, inFlight: 0, members: [] }]);
      const interrupted = shell({ url: node.url });
      interrupted.stdin.end();
      const running = interrupted.tidemark("groups", "consume", id, "--member", "waiting");
      await untilAtWork(interrupted, id);
      interrupted.interrupt.abort();
      expect(await running).toBe(130);
      expect(await json("groups", "show", id)).toMatchObject([{ members: [] }]);
    }
    expect((await tidemark(["groups", "consume", "none"])).status).toBe(3);
  });

  it("take, ack, nack and release work a queue by hand", async () => {
    await tidemark(["append", "hand", "--create"], "one\ntwo\nthree\n");
    await tidemark(["groups", "create", "hand", "hand", "--queue", "--retry-delay", "0s"]);
    const { out } = await tidemark(["groups", "take", "hand", "--count", "2", "--member", "me"]);
    const [one = "", two = ""] = out.trim().split("\n");
    expect([one.split("\t")[1], two.split("\t")[1]]).toEqual(["one", "two"]);
    const [first, second] = [one, two].map((line) => line.split("\t")[0] as string) as [string, string];
    expect(await tidemark(["groups", "ack", "hand", first])).toEqual({
      status: 0,
      out: `acknowledged: ${first}\n`,
      err: "",
    });
    expect((await tidemark(["groups", "nack", "hand", second, "--delay", "0s", "--reason", "later"])).status).toBe(0);
    const again = await tidemark(["groups", "ack", "hand", first]);
    expect([again.status, again.err]).toEqual([4, expect.stringContaining("(fenced)")]);
    const spare = (await json("groups", "take", "hand", "--count", "9")) as { receipt: string }[];
    for (const { receipt } of spare)
      expect(await tidemark(["groups", "release", "hand", receipt])).toMatchObject({ out: `given back: ${receipt}\n` });
    const taken = (await json("groups", "take", "hand", "--count", "9")) as { receipt: string }[];
    expect(taken).toMatchObject([
      { value: "two", attempt: 2 },
      { value: "three", attempt: 1, stream: "hand", offset: 2 },
    ]);
    // One of them is over, the others are settled all the same.
    const mixed = await tidemark(["groups", "ack", "hand", second, ...taken.map(({ receipt }) => receipt)]);
    expect(mixed.status).toBe(4);
    expect(mixed.out.trim().split("\n")).toHaveLength(2);
    expect(await json("groups", "show", "hand")).toMatchObject([{ lag: 0 }]);
    expect(await json("groups", "take", "hand", "--wait", "10ms")).toEqual([]);
    expect((await tidemark(["groups", "ack", "hand", "nonsense"])).status).toBe(2);
  });
});

/** Until the verb in this shell is at work, or has ended. */
async function untilAtWork(running: Shell, id: string): Promise<void> {
  for (;;) {
    const [group] = (await json("groups", "show", id)) as { mode: string; members: unknown[] }[];
    // Of those who wait for records of a queue nobody knows; one that has begun to is enough.
    if (group?.mode === "queue" || group?.members.length === 1 || running.stderr.text !== "") return;
  }
}
