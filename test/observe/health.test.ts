/** Live and ready are different questions, and both have answers before the log is open. */
import { describe, expect, it } from "vitest";
import { Health, type HealthSources } from "../../log-server/observe/health.ts";
import { SERVING } from "./status.ts";

const PROGRESS = { phase: "replay", done: 3, total: 10, rate: 1, etaSeconds: 7 };

const BLOCKED = { kind: "entry", message: "entry 7 is damaged" } as const;
const REPAIR = {
  segments: 0,
  entries: 0,
  batches: 0,
  fetchedBytes: 0,
  underWay: true,
  damagedSegments: 1,
  oldestMs: 1,
};

function health(sources: Partial<HealthSources>): Health {
  return new Health({ status: () => SERVING, progress: () => PROGRESS, draining: () => false, ...sources });
}

function ask(subject: Health, url: string): { status: number; body: Record<string, unknown> } {
  const answer = subject.answer(url);
  if (answer === undefined) throw new Error(`${url} has no answer`);
  return { status: answer.status, body: JSON.parse(answer.body) as Record<string, unknown> };
}

describe("/livez", () => {
  it("needs neither the log nor a leader", () => {
    expect(ask(health({ status: () => undefined }), "/livez").status).toBe(200);
    expect(ask(health({ status: () => ({ ...SERVING, hasLeader: false }) }), "/livez").status).toBe(200);
    expect(ask(health({ draining: () => true }), "/livez").status).toBe(200);
  });

  it("says so when the node cannot go on", () => {
    expect(ask(health({ status: () => ({ ...SERVING, phase: "failed" }) }), "/livez").status).toBe(503);
  });
});

describe("/readyz", () => {
  it("is ready while serving", () => {
    expect(ask(health({}), "/readyz")).toEqual({ status: 200, body: { status: "ready", failing: [] } });
  });

  it.each([
    ["recovered", { status: () => undefined }],
    ["recovered", { status: () => ({ ...SERVING, phase: "recovering" as const }) }],
    ["member", { status: () => ({ ...SERVING, phase: "removed" as const }) }],
    ["not-drained", { status: () => ({ ...SERVING, standsBack: ["drained" as const] }) }],
    ["healthy", { status: () => ({ ...SERVING, phase: "failed" as const }) }],
    ["leader", { status: () => ({ ...SERVING, hasLeader: false }) }],
    ["applied", { status: () => ({ ...SERVING, commitIndex: 50_000 }) }],
    ["applied", { status: () => ({ ...SERVING, role: "follower" as const, blocked: BLOCKED }) }],
    ["not-draining", { draining: () => true }],
  ])("is not ready without %s", (failing, sources) => {
    expect(ask(health(sources), "/readyz")).toEqual({ status: 503, body: { status: "not-ready", failing: [failing] } });
  });

  it("is ready though damage is in the way, where nobody else serves more", () => {
    // The last member of a cluster knows of repair, too.
    for (const repair of [undefined, REPAIR]) {
      const alone = { ...SERVING, repair, blocked: BLOCKED };
      expect(ask(health({ status: () => alone }), "/readyz").status).toBe(200);
    }
  });

  it("shows checks, progress and facts when asked to be verbose", () => {
    const { body } = ask(health({}), "/readyz?verbose");
    expect(body["checks"]).toContainEqual({ name: "leader", ok: true, detail: "term 3" });
    expect(body).toMatchObject({ progress: PROGRESS, appliedIndex: 7, streams: 5, damage: 0 });
    expect(ask(health({ status: () => undefined }), "/readyz?verbose").body).toMatchObject({ progress: PROGRESS });
  });
});

it("leaves other paths to others", () => {
  expect(health({}).answer("/livez/more")).toBeUndefined();
  expect(health({}).answer("/v1/stream/readyz")).toBeUndefined();
});
