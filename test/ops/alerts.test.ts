/**
 * The alert rules agree with what there is: each has a runbook and a case in which it fires, and asks only for what a server
 * shows. That Prometheus takes them, and that the cases hold, its own `promtool` checks (`.ci/alerts`).
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type RunningNode, startNode } from "../../log-server/start-node.ts";

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

describe("the rules and the runbooks", () => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await startNode();
  });
  afterAll(() => node.close());

  it("name only metrics that a server shows", async () => {
    const scrape = await (await fetch(`${node.url}/metrics`)).text();
    const shown = new Set([...scrape.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const runbooks = readdirSync(new URL("runbooks", OPS)).map((file) => text(`runbooks/${file}`));
    const named = [...rules.map(({ expr }) => expr), ...runbooks].flatMap(metricsOf);
    expect(named.length).toBeGreaterThan(rules.length);
    expect(named.filter((name) => !shown.has(name))).toEqual([]);
  });

  it("belong together, one to one", () => {
    const runbooks = readdirSync(new URL("runbooks", OPS));
    expect(runbooks.toSorted()).toEqual(rules.map(({ alert }) => `${alert}.md`).toSorted());
  });
});
