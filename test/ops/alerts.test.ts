/**
 * The alert rules agree with what there is: each has a runbook and a case in which it fires, and asks only for what a server
 * shows. That Prometheus takes them, and that the cases hold, its own `promtool` checks (`.ci/alerts`).
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";
import { LiveCluster } from "./live-cluster.ts";

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
};
type Case = { readonly alertname: string; readonly exp_alerts: readonly unknown[] };

const OPS = new URL("../../ops/", import.meta.url);
const { groups } = parse(text("prometheus/alerts.yml")) as { readonly groups: readonly { readonly rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const { tests } = parse(text("prometheus/alerts.test.yml")) as {
  readonly tests: readonly { readonly alert_rule_test: readonly Case[] }[];
};
const cases = tests.flatMap((test) => test.alert_rule_test);

function text(path: string): string {
  return readFileSync(new URL(path, OPS), "utf8");
}

/** `histogram_bucket` and the like are parts of the metric `histogram`. */
function metricsOf(expression: string): readonly string[] {
  return [...expression.matchAll(/tidemark_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ""));
}

describe.each(rules)("$alert", ({ alert, expr, labels, annotations }) => {
  it("has a runbook, which says what it means, and what to do", () => {
    expect(annotations.runbook).toBe(`ops/runbooks/${alert}.md`);
    const runbook = text(`runbooks/${alert}.md`);
    expect(runbook).toMatch(new RegExp(`^# ${alert}\n`));
    expect(runbook).toContain("**What it means.**");
    expect(runbook).toContain("**Do.**");
    expect(["warning", "critical"]).toContain(labels.severity);
  });

  it("has a case in which it fires, and one in which it does not", () => {
    const own = cases.filter((each) => each.alertname === alert);
    expect(own.some((each) => each.exp_alerts.length > 0)).toBe(true);
    expect(own.some((each) => each.exp_alerts.length === 0)).toBe(true);
  });

  it("asks for something", () => {
    expect(expr === 'up{job="tidemark"} == 0' || metricsOf(expr).length > 0).toBe(true);
  });
});

const runbooks = readdirSync(new URL("runbooks", OPS));
const named = new Set(
  [...rules.map(({ expr }) => expr), ...runbooks.map((file) => text(`runbooks/${file}`))].flatMap(metricsOf),
);

/** Of a scrape, by name and labels. */
function samplesOf(scrape: string): ReadonlyMap<string, number> {
  const lines = scrape.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

/** A name that is told of although nothing has it now: of a snapshot that is on its way to nobody. */
function typesOf(scrape: string): ReadonlySet<string | undefined> {
  return new Set([...scrape.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
}

describe("the rules and the runbooks", () => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  it("name only metrics that a server shows", async () => {
    const shown = typesOf(await (await fetch(`${node.url}/metrics`)).text());
    expect(named.size).toBeGreaterThan(rules.length);
    expect([...named].filter((name) => !shown.has(name))).toEqual([]);
  });

  it("belong together, one to one", () => {
    expect(runbooks.toSorted()).toEqual(rules.map(({ alert }) => `${alert}.md`).toSorted());
  });
});

describe("three servers", () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await LiveCluster.started();
  });
  afterAll(() => cluster.close());

  it("each show every metric that is named, and one that it leads", async () => {
    await cluster.roles();
    const scrapes = await cluster.scrapes();
    for (const scrape of scrapes.values()) {
      const shown = typesOf(scrape);
      expect([...named].filter((name) => !shown.has(name))).toEqual([]);
    }
    const leads = [...scrapes.values()].map((scrape) => samplesOf(scrape).get("tidemark_raft_is_leader"));
    expect(leads.filter((value) => value === 0)).toHaveLength(2);
    expect(leads.filter((value) => value === 1)).toHaveLength(1);
  });

  it("show how far each follower is, how far each peer, what a sync takes and carries, and who began to lead", async () => {
    const { leader, others } = await cluster.roles();
    const stream = `${cluster.urlOf(others[0])}/v1/stream/s`;
    expect((await fetch(stream, { method: "PUT", headers: { "content-type": "text/plain" } })).status).toBe(201);
    expect((await fetch(stream, { method: "POST", body: "x", headers: { "content-type": "text/plain" } })).ok).toBe(
      true,
    );
    await cluster.until((scrapes) => {
      const samples = samplesOf(scrapes.get(leader) ?? "");
      return others.every(
        (other) =>
          samples.get(`tidemark_raft_follower_lag_entries{follower="${other}"}`) === 0 &&
          samples.has(`tidemark_peer_round_trip_seconds{peer="${other}"}`),
      );
    });
    const scrapes = await cluster.scrapes();
    for (const [name, scrape] of scrapes) {
      const samples = samplesOf(scrape);
      expect(samples.get("tidemark_has_leader"), name).toBe(1);
      expect(samples.get("tidemark_leader_changes_total"), name).toBeGreaterThan(0);
      for (const histogram of ["fsync_duration_seconds", "group_commit_entries", "group_commit_bytes"]) {
        expect(samples.get(`tidemark_${histogram}_count`), `${name} ${histogram}`).toBeGreaterThan(0);
        expect(samples.get(`tidemark_${histogram}_bucket{le="+Inf"}`)).toBe(samples.get(`tidemark_${histogram}_count`));
      }
      for (const peer of cluster.names.filter((one) => one !== name))
        expect(samples.get(`tidemark_peer_connected{peer="${peer}"}`), name).toBe(1);
      const followers = [...samples.keys()].filter((key) => key.startsWith("tidemark_raft_follower_silent_seconds"));
      expect(followers, name).toHaveLength(name === leader ? 2 : 0);
    }
    const forwarded = samplesOf(scrapes.get(others[0]) ?? "");
    expect(forwarded.get('tidemark_forwarded_commands_total{outcome="answered"}')).toBeGreaterThan(0);
  });
});
