/**
 * The demo: real flights flow through three real servers and an app, of which first the leader and then the replica that commits are
 * killed in the middle, and nothing is lost.
 *
 * A producer appends 20,000 flights while a subscriber counts them and their delays by origin, and two replicas of an app gather late
 * flights by origin and hour. Half-way, with appends under way, the leader gets `kill -9`; the others elect another one, and the killed
 * one is started again and catches up. A quarter later it is the replica that commits; the other goes on where it was. Neither
 * the producer nor the subscriber is told: the SDK carries on. In the end every flight must have been seen once, in order, the subscriber's
 * table and the app's results must be those computed straight from the file, and every node must have every flight.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT } from "../cli/exit-codes.ts";
import { PLATFORM_ZSTD } from "../reading/platform-zstd.ts";
import { ProgressBar } from "../cli/progress-bar.ts";
import { connect, type Client, type Producer, type ReceivedRecord, type Stream } from "../index.ts";
import { DemoApp } from "./demo-app.ts";
import { DemoCluster } from "./demo-cluster.ts";
import { formatRows, loadFlights, OriginTable, type Flight } from "./flights.ts";
import { type LateHour, LateHours } from "./late-hours.ts";
import { LongestPause } from "./longest-pause.ts";

const STREAM = "flights";
/** The app's name, and what it writes. */
const APP = "delayed-flights";
/** The producer runs ahead of the subscriber and the app by this many flights at most, so that the kills come in the middle. */
const AHEAD_MAX = 3_000;
const BATCH_BYTES = 8 * 1024;
const UNACKNOWLEDGED_BYTES = 64 * 1024;
const TOP_ORIGINS = 10;
const PLAIN_PROGRESS_EVERY = 5_000;
const DEMO_TIMEOUT_MS = 90_000;

/** What went wrong, in words for the user. */
class DemoError extends Error {
  override readonly name = "DemoError";
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The user's wish, not a failure. */
class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/** Resolves to the exit status. With `keep` the server stays until Ctrl-C. */
export async function runDemo(options: { readonly keep: boolean }): Promise<number> {
  const startedMs = performance.now();
  const demo = new Demo(mkdtempSync(join(tmpdir(), "tidemark-demo-")));
  const onExit = (): void => demo.cleanUpNow();
  // A second signal ends the process as it would any other.
  const onSignal = (): void => demo.interrupt();
  process.once("exit", onExit);
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  try {
    await demo.run();
    say(`\nDone in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s.`);
    demo.sayAddresses();
    if (options.keep) {
      say("\nThe servers stay until Ctrl-C.");
      await demo.interrupted();
    }
    return EXIT.ok;
  } catch (error) {
    if (error instanceof InterruptedError) return EXIT.interrupted;
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    if (!(error instanceof DemoError) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return EXIT.failure;
  } finally {
    await demo.cleanUp();
    process.removeListener("exit", onExit);
    process.removeListener("SIGINT", onSignal);
    process.removeListener("SIGTERM", onSignal);
  }
}

class Demo {
  readonly #folder: string;
  readonly #bar = new ProgressBar(process.stdout);
  readonly #overall = new AbortController();
  readonly #appendPause = new LongestPause();
  readonly #readPause = new LongestPause();
  readonly #resultPause = new LongestPause();
  #cluster: DemoCluster | undefined;
  #app: DemoApp | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async run(): Promise<void> {
    const timer = setTimeout(
      () => this.#overall.abort(new DemoError(`it did not finish within ${DEMO_TIMEOUT_MS / 1_000} s`)),
      DEMO_TIMEOUT_MS,
    );
    try {
      await this.#play();
    } catch (error) {
      throw this.#overall.signal.aborted ? this.#overall.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  sayAddresses(): void {
    const [url = ""] = this.#cluster?.urls ?? [];
    this.#say("Addresses, while the servers run (`npm run demo -- --keep`):");
    this.#say(`  the cluster  curl ${url}/v1/cluster`);
    this.#say(`  the stream   ${url}/v1/stream/${STREAM}`);
    this.#say(`               curl '${url}/v1/stream/${STREAM}?offset=-1'`);
    this.#say(`  the app      npm run tidemark -- apps show ${APP} --url ${url}`);
    this.#say(`  metrics      curl ${url}/metrics`);
    this.#say(`  health       curl '${url}/readyz?verbose'`);
  }

  interrupt(): void {
    this.#overall.abort(new InterruptedError());
  }

  /** Resolves when the user has seen enough. */
  interrupted(): Promise<void> {
    const { signal } = this.#overall;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async cleanUp(): Promise<void> {
    await this.#app?.stop();
    await this.#cluster?.stop();
    this.cleanUpNow();
  }

  cleanUpNow(): void {
    this.#app?.killNow();
    this.#cluster?.killNow();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #play(): Promise<void> {
    const flights = loadFlights();
    const cluster = await DemoCluster.plan(this.#folder, this.#overall.signal);
    this.#cluster = cluster;
    await cluster.start();
    for (const name of cluster.names)
      this.#say(`${name} runs as process ${cluster.processIdOf(name)} at ${cluster.urlOf(name)}.`);
    const { name: first, term } = await cluster.leader();
    this.#say(`${first} was elected in term ${term}. The data is in ${this.#folder}.`);
    await using client = connected(cluster.urls);
    const stream = client.stream(STREAM);
    await stream.create({ contentType: "application/json" });
    const app = await DemoApp.start(client.app(APP), cluster.urls, this.#overall.signal);
    this.#app = app;
    const processIds = await app.processIds();
    this.#say(`The app "${APP}" runs in two replicas, processes ${processIds.join(" and ")}.`);
    this.#say(`Appending ${flights.length} flights of early 2001 to the stream "${STREAM}", and subscribing to it …`);

    const subscriber = new Subscriber(this.#overall.signal);
    const producer = stream.producer({
      batchBytes: BATCH_BYTES,
      unacknowledgedBytes: UNACKNOWLEDGED_BYTES,
      signal: this.#overall.signal,
    });
    const subscribed = subscriber.follow(stream, (seen) => {
      this.#readPause.moved();
      this.#showProgress(seen, flights.length);
    });
    const results = new Results(new LateHours(flights), this.#overall.signal);
    const gathered = results.follow(client.stream(APP), () => this.#resultPause.moved());
    // Whichever fails first is the reason; the others end with it.
    const giveUp = (error: unknown): never => {
      this.#overall.abort(error);
      throw error;
    };
    await Promise.all([
      this.#appendAll(flights, producer, stream, { subscriber, results, cluster, app }).catch(giveUp),
      subscribed.catch(giveUp),
      gathered.catch(giveUp),
    ]);
    this.#bar.clear();
    await this.#check(flights, { subscriber, results, cluster, app });
  }

  async #appendAll(
    flights: readonly Flight[],
    producer: Producer,
    stream: Stream,
    { subscriber, results, cluster, app }: Parts,
  ): Promise<void> {
    const half = flights.length / 2;
    const misplaced: string[] = [];
    let acknowledged = 0;
    let crash: Promise<void> | undefined;
    let takeover: Promise<void> | undefined;
    for (const [index, flight] of flights.entries()) {
      await subscriber.count.reach(index - AHEAD_MAX);
      await results.reachFlight(index - AHEAD_MAX);
      await producer.ready();
      const appended = producer.append({ key: flight.origin, json: flight });
      appended.then(
        (offset) => {
          acknowledged += 1;
          this.#appendPause.moved();
          if (offset !== index) misplaced.push(`flight ${index} got offset ${offset}`);
        },
        () => undefined,
      );
      const busy = producer.unacknowledgedBytes >= UNACKNOWLEDGED_BYTES / 2;
      if (!busy) continue;
      if (crash === undefined && subscriber.seen >= half) {
        crash = this.#crash(cluster, subscriber.seen, index + 1 - acknowledged);
        crash.catch((error: unknown) => this.#overall.abort(error));
      }
      if (takeover === undefined && subscriber.seen >= half * 1.5) {
        takeover = this.#takeOver(app, results);
        takeover.catch((error: unknown) => this.#overall.abort(error));
      }
    }
    await producer.close();
    await Promise.all([crash, takeover]);
    if (misplaced.length > 0) throw new DemoError(`acknowledged at another place than it was sent: ${misplaced[0]}`);
    if (crash === undefined) throw new DemoError("the leader was never killed");
    if (takeover === undefined) throw new DemoError("the replica that commits was never killed");
    await stream.close();
  }

  /** Kills the leader, and starts it again once there is another, while appends and the subscription go on. */
  async #crash(cluster: DemoCluster, seen: number, unacknowledged: number): Promise<void> {
    const { name } = await cluster.leader();
    const processId = cluster.processIdOf(name);
    this.#appendPause.begin();
    this.#readPause.begin();
    const killed = cluster.kill(name);
    this.#say(
      `kill -9 ${processId}, the leader ${name}: the subscriber has seen ${seen} flights, ${unacknowledged} appends are unacknowledged.`,
    );
    const killedMs = performance.now();
    await killed;
    const elected = await cluster.leader(name);
    const electionMs = Math.round(performance.now() - killedMs);
    this.#say(
      `${elected.name} was elected in term ${elected.term}, after ${electionMs} ms; nobody was told, everyone carries on …`,
    );
    await cluster.startNode(name);
    this.#say(`${name} runs again, as process ${cluster.processIdOf(name)}, and has caught up.`);
  }

  /** Kills the replica that commits, while flights come; its process is started again by the one that started it. */
  async #takeOver(app: DemoApp, results: Results): Promise<void> {
    const victim = await app.committer();
    this.#resultPause.begin();
    process.kill(victim.processId, "SIGKILL");
    this.#say(
      `kill -9 ${victim.processId}, the replica that commits: ${results.count.value} of ${results.expected} results are there.`,
    );
    const killedMs = performance.now();
    const { processId, seenMs } = await app.committer(victim);
    const takeoverMs = Math.round(seenMs - killedMs);
    this.#say(`The other replica, process ${processId}, committed after ${takeoverMs} ms, with nothing to restore.`);
  }

  #showProgress(seen: number, total: number): void {
    if (this.#bar.enabled) this.#bar.show({ phase: "flights seen", done: seen, total, note: `${seen}` });
    else if (seen % PLAIN_PROGRESS_EVERY === 0) this.#say(`  ${seen} of ${total} flights seen`);
  }

  async #check(flights: readonly Flight[], { subscriber, results, cluster }: Parts): Promise<void> {
    const expected = new OriginTable();
    for (const flight of flights) expected.add(flight);
    checkSequence("the subscription", subscriber.flights, flights);
    const differences = subscriber.table.differences(expected);
    if (differences.length > 0) throw new DemoError(`the subscriber's table is not the file's: ${differences[0]}`);
    for (const name of cluster.names) {
      const url = cluster.urlOf(name);
      await this.#checkNode(name, url, flights, results.expected);
      await this.#checkAddress(`${url}/v1/stream/${STREAM}?offset=-1`);
      await this.#checkAddress(`${url}/metrics`);
    }
    this.#say(
      `The appends paused for ${this.#appendPause.milliseconds} ms at the most, the subscription for ${this.#readPause.milliseconds} ms, the app's results for ${this.#resultPause.milliseconds} ms.`,
    );
    this.#say(
      `The app's ${results.expected} results, late flights per origin and hour, are each there once, and are the file's.`,
    );
    const rows = subscriber.table.rows();
    this.#say(
      `All ${flights.length} flights were seen once and in order, and every node has them; the table of ${rows.length} origins is the file's. The busiest:\n`,
    );
    this.#say(formatRows(rows.slice(0, TOP_ORIGINS)));
  }

  async #checkNode(name: string, url: string, flights: readonly Flight[], results: number): Promise<void> {
    await using client = connected([url]);
    const stored: Flight[] = [];
    for await (const records of client.stream(STREAM).read({ signal: this.#overall.signal }).batches()) {
      for (const record of records) stored.push(record.json<Flight>());
    }
    checkSequence(`the stream, read again from its start at ${name},`, stored, flights);
    const { nextOffset } = await client.stream(APP).describe({ signal: this.#overall.signal });
    if (nextOffset !== results)
      throw new DemoError(`${name} has ${nextOffset} results of the app instead of ${results}`);
  }

  #say(line: string): void {
    this.#bar.clear();
    say(line);
  }

  async #checkAddress(url: string): Promise<void> {
    const response = await fetch(url, { signal: this.#overall.signal });
    await response.arrayBuffer();
    if (response.status !== 200) throw new DemoError(`${url} answers with status ${response.status}`);
  }
}

/** As the command line is, so that it can read what an app's workers write. */
function connected(urls: readonly string[]): Client {
  const zstd = PLATFORM_ZSTD;
  return connect(urls, { timeout: DEMO_TIMEOUT_MS, ...(zstd !== undefined && { zstd }) });
}

type Parts = {
  readonly subscriber: Subscriber;
  readonly results: Results;
  readonly cluster: DemoCluster;
  readonly app: DemoApp;
};

/** A count that another waits for. */
class Count {
  #value = 0;
  readonly #signal: AbortSignal;
  #waiter: { readonly value: number; readonly resolve: () => void } | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#waiter?.resolve());
  }

  get value(): number {
    return this.#value;
  }

  add(): void {
    this.#value += 1;
    if (this.#waiter !== undefined && this.#value >= this.#waiter.value) this.#waiter.resolve();
  }

  /** Resolves when it is so much. One caller at a time. */
  async reach(value: number): Promise<void> {
    if (this.#value >= value || this.#signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#waiter = { value, resolve };
    });
    this.#waiter = undefined;
  }
}

/** What the app writes, held against the file's answer as it comes. */
class Results {
  readonly count: Count;
  readonly #answer: LateHours;
  readonly #signal: AbortSignal;
  readonly #seen = new Set<string>();

  constructor(answer: LateHours, signal: AbortSignal) {
    this.#answer = answer;
    this.#signal = signal;
    this.count = new Count(signal);
  }

  /** In the end there are so many. */
  get expected(): number {
    return this.#answer.count;
  }

  /** Resolves when there is all that so many flights bring about. */
  reachFlight(flights: number): Promise<void> {
    return this.count.reach(this.#answer.after(flights));
  }

  /** Ends when all are there. */
  async follow(stream: Stream, onSeen: () => void): Promise<void> {
    for await (const record of stream.subscribe({ signal: this.#signal })) {
      const [origin, found] = [record.keyText() ?? "", record.json<LateHour>()];
      const fault = this.#answer.fault(origin, found);
      if (fault !== undefined) throw new DemoError(`the app has a result that is not the file's: ${fault}`);
      if (this.#seen.has(`${origin} ${found.hour}`)) throw new DemoError(`the app wrote ${origin} ${found.hour} twice`);
      this.#seen.add(`${origin} ${found.hour}`);
      this.count.add();
      onSeen();
      if (this.count.value === this.expected) return;
    }
  }
}

/** Counts what it sees. */
class Subscriber {
  readonly flights: Flight[] = [];
  readonly table = new OriginTable();
  readonly count: Count;
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    this.count = new Count(signal);
  }

  get seen(): number {
    return this.flights.length;
  }

  /** Ends when the stream is closed. */
  async follow(stream: Stream, onSeen: (seen: number) => void): Promise<void> {
    for await (const record of stream.subscribe({ signal: this.#signal })) {
      this.#take(record);
      onSeen(this.seen);
    }
  }

  #take(record: ReceivedRecord): void {
    if (record.offset !== this.seen)
      throw new DemoError(`after ${this.seen} flights the subscriber got offset ${record.offset}`);
    const flight = record.json<Flight>();
    this.flights.push(flight);
    this.table.add(flight);
    this.count.add();
  }
}

function checkSequence(what: string, found: readonly Flight[], expected: readonly Flight[]): void {
  for (let at = 0; at < Math.max(found.length, expected.length); at += 1) {
    const [mine, theirs] = [JSON.stringify(found[at]), JSON.stringify(expected[at])];
    if (mine !== theirs)
      throw new DemoError(`${what} has at place ${at} ${mine ?? "nothing"} instead of ${theirs ?? "nothing"}`);
  }
}
