/** What a scrape shows: names, that what was counted is there, and that nothing is made up before the log is open. */
import { afterEach, describe, expect, it } from "vitest";
import { exponentialBounds, HotHistogram } from "../../log-server/observe/histogram.ts";
import { Metrics, type MetricsOptions } from "../../log-server/observe/metrics.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { NodeStatus } from "../../log-server/node/node-status.ts";
import { SERVING } from "./status.ts";

const PROGRESS = { phase: "replay", done: 3, total: 12, rate: 1, etaSeconds: 9 };
const open: Metrics[] = [];

function metrics(options: Partial<MetricsOptions> = {}): Metrics {
  const made = new Metrics({
    status: () => SERVING,
    progress: () => PROGRESS,
    peers: () => [],
    processMetrics: false,
    ...options,
  });
  open.push(made);
  return made;
}

async function scrape(subject: Metrics): Promise<Map<string, number>> {
  const lines = (await subject.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

afterEach(() => {
  for (const made of open.splice(0)) made.stop();
});

describe("metrics", () => {
  it("shows a leader its followers, and nobody else's", async () => {
    const followers = [
      { id: "n2", flow: "replicate" as const, match: 5, silentTicks: 0, standsBack: false },
      { id: "n3", flow: "probe" as const, match: 0, silentTicks: 20, standsBack: false },
    ];
    let status: NodeStatus = { ...SERVING, followers };
    const subject = metrics({ status: () => status });
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      "tidemark_raft_is_leader": 1,
      'tidemark_raft_follower_lag_entries{follower="n2"}': 2,
      'tidemark_raft_follower_lag_entries{follower="n3"}': 7,
      'tidemark_raft_follower_silent_seconds{follower="n3"}': (20 * NODE_LIMITS.tickMs) / 1_000,
    });
    status = { ...SERVING, role: "follower", leader: "n2", followers: [], refusedMessages: 3 };
    const later = await scrape(subject);
    expect(later.get("tidemark_raft_is_leader")).toBe(0);
    expect(later.get("tidemark_raft_refused_messages_total")).toBe(3);
    expect([...later.keys()].filter((name) => name.includes("{follower="))).toEqual([]);
  });

  it("shows the connections to other nodes, and no round trip before there was one", async () => {
    const peers = [
      { node: "n2", connected: true, rttMs: 2, dropped: 0 },
      { node: "n3", connected: false, rttMs: undefined, dropped: 7 },
    ];
    const shown = Object.fromEntries(await scrape(metrics({ peers: () => peers })));
    expect(shown).toMatchObject({
      'tidemark_peer_connected{peer="n2"}': 1,
      'tidemark_peer_connected{peer="n3"}': 0,
      'tidemark_peer_round_trip_seconds{peer="n2"}': 0.002,
      'tidemark_peer_dropped_messages{peer="n3"}': 7,
    });
    expect(Object.keys(shown)).not.toContain('tidemark_peer_round_trip_seconds{peer="n3"}');
  });

  it("shows a leader who waits for a snapshot, and how far it is", async () => {
    let status: NodeStatus = {
      ...SERVING,
      waitingForSnapshots: [
        { node: "n2", waitingMs: 9_000, idleMs: 250 },
        { node: "n3", waitingMs: 70_000, idleMs: 70_000 },
      ],
      sending: [{ node: "n2", position: 6, bytes: 1_000, sentBytes: 400 }],
      shipping: { sent: 2, failed: 5, sentBytes: 4_400, receivedBytes: 0 },
    };
    const subject = metrics({ status: () => status });
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      'tidemark_snapshot_waiting_seconds{follower="n2"}': 9,
      'tidemark_snapshot_idle_seconds{follower="n2"}': 0.25,
      'tidemark_snapshot_idle_seconds{follower="n3"}': 70,
      'tidemark_snapshot_sending_bytes{follower="n2"}': 1_000,
      'tidemark_snapshot_sent_bytes{follower="n2"}': 400,
      'tidemark_snapshot_shipments_total{outcome="sent"}': 2,
      'tidemark_snapshot_shipments_total{outcome="failed"}': 5,
      "tidemark_snapshot_sent_bytes_total": 4_400,
    });
    status = { ...SERVING, shipping: { sent: 3, failed: 5, sentBytes: 5_000, receivedBytes: 0 } };
    const names = [...(await scrape(subject)).keys()];
    expect(names.filter((name) => name.includes("{follower="))).toEqual([]);
    expect(names).not.toContain("tidemark_snapshot_receiving_bytes");
  });

  it("shows who is shipped a snapshot how far it is, and the next run that it began with it", async () => {
    const receiving = { position: 90, bytes: 5_000, receivedBytes: 1_200, idleMs: 3_500 };
    const shipping = { sent: 0, failed: 0, sentBytes: 0, receivedBytes: 1_300 };
    const subject = metrics({ status: () => ({ ...SERVING, receiving, shipping }) });
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      tidemark_snapshot_receiving_bytes: 5_000,
      tidemark_snapshot_received_bytes: 1_200,
      tidemark_snapshot_receiving_idle_seconds: 3.5,
      tidemark_snapshot_received_bytes_total: 1_300,
      tidemark_snapshot_installed_index: 0,
    });
    const next = metrics();
    next.event("snapshot-installed", { position: 90, end: 95, bytes: 5_000 });
    expect((await scrape(next)).get("tidemark_snapshot_installed_index")).toBe(90);
  });

  it("shows what is damaged, what was made good, and how far the scrub is", async () => {
    const repair = { segments: 2, entries: 7, batches: 3, fetchedBytes: 9_000, underWay: true, damagedSegments: 1 };
    let status: NodeStatus = {
      ...SERVING,
      repair: { ...repair, oldestMs: 12_500 },
      scrub: { passes: 4, bytes: 800, underWay: true, checked: 3, segments: 12 },
    };
    const subject = metrics({ status: () => status });
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      tidemark_repair_damaged_segments: 1,
      tidemark_repair_oldest_damage_seconds: 12.5,
      tidemark_repair_under_way: 1,
      tidemark_repaired_entries_total: 10,
      tidemark_repaired_segments_total: 2,
      tidemark_repair_fetched_bytes_total: 9_000,
      tidemark_scrub_progress_ratio: 0.25,
      tidemark_scrub_passes_total: 4,
    });
    status = { ...SERVING, scrub: { passes: 5, bytes: 900, underWay: false, checked: 12, segments: 12 } };
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      tidemark_repair_oldest_damage_seconds: 0,
      tidemark_scrub_progress_ratio: 0,
    });
  });

  it("counts what a node forwarded to the leader, by what came of it", async () => {
    expect(Object.fromEntries(await scrape(metrics({ status: () => SERVING })))).toMatchObject({
      "tidemark_forwarded_commands": 4,
      'tidemark_forwarded_commands_total{outcome="answered"}': 11,
      'tidemark_forwarded_commands_total{outcome="refused"}': 1,
      'tidemark_forwarded_commands_total{outcome="unknown"}': 2,
      "tidemark_forwarded_commands_repeated_total": 3,
    });
  });

  it("shows the node's status as it is when scraped", async () => {
    let status = SERVING;
    const subject = metrics({ status: () => status });
    subject.event("leader-elected", { leader: "n1", term: 3 });
    expect(Object.fromEntries(await scrape(subject))).toMatchObject({
      tidemark_has_leader: 1,
      tidemark_term: 3,
      tidemark_applied_index: 7,
      tidemark_disk_free_bytes: 1_000_000,
      tidemark_restore_progress_ratio: 0.25,
      tidemark_leader_changes_total: 1,
    });
    status = { ...SERVING, appliedIndex: 9, term: 5, hasLeader: false };
    // Two, though nobody looked in between.
    for (const term of [4, 5]) subject.event("leader-elected", { leader: "n2", term });
    const later = await scrape(subject);
    expect(later.get("tidemark_applied_index")).toBe(9);
    expect(later.get("tidemark_has_leader")).toBe(0);
    expect(later.get("tidemark_leader_changes_total")).toBe(3);
  });

  it("makes nothing up before the log is open", async () => {
    const names = [...(await scrape(metrics({ status: () => undefined }))).keys()];
    expect(names).not.toContain("tidemark_has_leader");
    expect(names).not.toContain("tidemark_snapshot_age_seconds");
    expect(names).toContain("tidemark_restore_progress_ratio");
  });

  it("counts what happens", async () => {
    const subject = metrics();
    subject.appended(10, 1_000);
    subject.appended(5, 500);
    subject.read(3, 300);
    subject.liveReaders(1);
    subject.liveReaders(1);
    subject.liveReaders(-1);
    subject.slowReaderDropped();
    subject.webhook("failed");
    subject.proposed("appended", 2);
    subject.proposed("rejected", 4);
    subject.synced(8, 4_096, 1);
    subject.event("snapshot", { milliseconds: 250 });
    const seen = await scrape(subject);
    expect(Object.fromEntries(seen)).toMatchObject({
      "tidemark_appends_total": 2,
      "tidemark_appended_records_total": 15,
      "tidemark_appended_bytes_total": 1_500,
      "tidemark_read_bytes_total": 300,
      "tidemark_subscribers": 1,
      "tidemark_slow_consumers_dropped_total": 1,
      'tidemark_webhooks_total{outcome="failed"}': 1,
      'tidemark_proposals_total{result="appended"}': 1,
      'tidemark_proposals_total{result="rejected"}': 1,
      "tidemark_propose_duration_seconds_count": 2,
      'tidemark_group_commit_entries_bucket{le="8"}': 1,
      "tidemark_fsync_duration_seconds_count": 1,
      'tidemark_events_total{code="snapshot"}': 1,
      "tidemark_snapshot_duration_seconds": 0.25,
    });
  });

  it("tells of apps, and since when one of their tasks is late", async () => {
    const apps = () => ({ count: 3, paused: 1, tasks: 8, commits: 99, dueSince: 1_500 });
    expect(Object.fromEntries(await scrape(metrics({ status: () => ({ ...SERVING, apps }) })))).toMatchObject({
      tidemark_apps: 3,
      tidemark_apps_paused: 1,
      tidemark_app_tasks: 8,
      tidemark_app_task_commits: 99,
      tidemark_app_task_due_timestamp_seconds: 1.5,
    });
  });

  it("uses base units, one prefix, and no stream names", async () => {
    const names = [...(await scrape(metrics())).keys()];
    expect(names.filter((name) => !name.startsWith("tidemark_"))).toEqual([]);
    expect(names.filter((name) => /millis|_ms\b|stream=/.test(name))).toEqual([]);
  });

  it("adds the process's own when asked", async () => {
    expect([...(await scrape(metrics({ processMetrics: true }))).keys()]).toContain("process_resident_memory_bytes");
  });
});

it("a histogram's buckets are cumulative", () => {
  const histogram = new HotHistogram("h", "help", exponentialBounds(1, 10, 3));
  for (const value of [0.5, 1, 2, 50, 5_000]) histogram.observe(value);
  expect(histogram.get().values.map(({ labels, value }) => [labels["le"], value])).toEqual([
    ["1", 2],
    ["10", 3],
    ["100", 4],
    ["+Inf", 5],
    [undefined, 5_053.5],
    [undefined, 5],
  ]);
});
