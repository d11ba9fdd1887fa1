/** The load: clients on every face, from the first append to the last record read. */
import { TidemarkError } from "../../client/index.ts";
import { callOneByOne, churn, produce, protocol, transact } from "./appenders.ts";
import { groupViolationsIn } from "./group-history.ts";
import { type History, misplacedIn, type Seen, starvedIn, tornIn, violationsIn } from "./history.ts";
import { Journal } from "./journal.ts";
import { Load, OWN, PAIR, PAUSE_MS, SHORT, SHORT_BYTES, STREAMS, valueOf } from "./load.ts";
import { describe, FACES, head, read } from "./looks.ts";
import { pause } from "./pause.ts";
import { catchUp, events, follow, subscribe } from "./readers.ts";
import { SessionClient } from "./session-client.ts";
import { createGroups, member, MEMBERS, QUEUE, worker } from "./workers.ts";

export type Contents = ReadonlyMap<string, readonly string[]>;

/** Without any progress for so long, what is waited for does not come. */
const STALLED_MS = 60_000;

export class Clients {
  readonly journal = new Journal();
  readonly #load: Load;
  readonly #written = new AbortController();
  readonly #over = new AbortController();
  readonly #appending: Promise<void>[] = [];
  readonly #reading: Promise<void>[] = [];

  constructor(urls: readonly string[]) {
    this.#load = new Load(urls, this.journal, this.#written.signal, this.#over.signal);
  }

  get streams(): readonly string[] {
    return STREAMS;
  }

  async start(): Promise<void> {
    const load = this.#load;
    const client = load.connect("http", 0);
    for (const stream of STREAMS) await client.stream(stream).create({ contentType: "text/plain" });
    await client.stream(SHORT).create({ contentType: "text/plain", retention: { maxBytes: SHORT_BYTES } });
    await client.close();
    await createGroups(load);
    this.#appending.push(
      produce(load, "socket-1", "by-socket", "ws", 0),
      produce(load, "socket-2", "by-socket", "ws", 1),
      produce(load, "http-1", "by-http", "http", 2),
      callOneByOne(load, "http-2", "by-http", 0),
      protocol(load, "protocol-1", "by-protocol", 1),
      transact(load, "pairs", 2),
      churn(load, "churn", 1),
    );
    for (const [first, name] of ["session-1", "session-2"].entries()) {
      const session = new SessionClient(load, name, first);
      const wrote = session.writeAndRead();
      this.#appending.push(wrote);
      this.#reading.push(wrote.then(() => session.readOn()));
    }
    this.#reading.push(
      subscribe(load, "by-socket", "ws", 2),
      subscribe(load, "by-http", "http", 0),
      follow(load, [...PAIR, OWN], 1),
      events(load, "by-protocol", 2),
      events(load, "by-http", 0),
      catchUp(load, "by-protocol", 1),
      catchUp(load, OWN, 2),
      head(load, "by-socket"),
      head(load, "by-http"),
      read(load, "by-http", 1),
      read(load, OWN, 2),
      describe(load, PAIR[0], 0),
      member(load, "member-1", "ws", 0),
      member(load, "member-2", "http", 1),
      worker(load, "worker-1", "ws", 2),
      worker(load, "worker-2", "http", 0),
    );
  }

  /** No more is appended; what is under way comes to its end. Readers go on. */
  async stopAppending(): Promise<void> {
    this.#written.abort();
    await Promise.all(this.#appending);
  }

  /** What the stream holds, as this node serves it. What it has to repair before it can is waited for. */
  async contents(url: string, stream: string): Promise<readonly Seen[]> {
    const seen: Seen[] = [];
    const client = this.#load.connect("http", this.#load.urls.indexOf(url), "linearizable");
    try {
      for (let [length, movedAt] = [0, performance.now()]; ; await pause(PAUSE_MS * 10)) {
        try {
          const from = (seen.at(-1)?.offset ?? -1) + 1;
          for await (const record of client.stream(stream).read({ from, onGap: () => undefined }))
            seen.push({ offset: record.offset, value: valueOf(record.text()) });
          return seen;
        } catch (error) {
          if (!isDamage(error) && !(error instanceof TidemarkError && isDamage(error.cause))) throw error;
          if (seen.length === length && performance.now() - movedAt > STALLED_MS) throw error;
          if (seen.length > length) [length, movedAt] = [seen.length, performance.now()];
        }
      }
    } finally {
      await client.close();
    }
  }

  /** Of the stream that keeps little, as this node has it. */
  shortViolations(kept: readonly Seen[], node: string): readonly string[] {
    return misplacedIn(SHORT, this.journal.history.appends, kept).map((violation) => `${node}: ${violation}`);
  }

  /** Everything that is wrong, now that this is what there is; readers and workers are given the time to come to its end. */
  async violations(contents: Contents): Promise<readonly string[]> {
    const { journal } = this;
    const grouped = new Map([...MEMBERS.streams, QUEUE.stream].map((stream) => [stream, contents.get(stream) ?? []]));
    const lacking = (): readonly string[] => [
      ...starvedIn(journal.history.readings, contents),
      ...groupViolationsIn(journal.groups, grouped),
    ];
    for (let [given, movedAt] = [0, performance.now()]; lacking().length > 0; await pause(PAUSE_MS * 10)) {
      if (journal.given > given) [given, movedAt] = [journal.given, performance.now()];
      if (performance.now() - movedAt > STALLED_MS) break;
    }
    this.#over.abort();
    await Promise.all(this.#reading);
    return [
      ...violationsIn(journal.history, contents),
      ...tornIn(PAIR, contents),
      ...lacking(),
      ...idleIn(journal.history),
    ];
  }
}

/** The node lacks what was asked for; the SDK tries `repairing` again by itself for as long as a call may take. */
function isDamage(error: unknown): boolean {
  return error instanceof TidemarkError && (error.code === "damaged" || error.code === "repairing");
}

/** What was to be seen, and was not: nothing is proved by it. */
function idleIn({ looks, sessionReads }: History): readonly string[] {
  const idle: string[] = Object.values(FACES).filter((face) => !looks.some((look) => look.face === face));
  if (sessionReads.length === 0) idle.push("a session's read");
  return idle.map((face) => `promised, and never happened: ${face}`);
}
