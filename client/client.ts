/**
 * `connect` and the client: what is configured once and shared by all streams of one server or cluster.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Zstd } from "../src/ports/zstd.ts";
import type { TaskLog } from "../src/runtime/task-log.ts";
import type { Consistency } from "../src/wire/consistency.ts";
import { checkStreamName } from "../src/wire/stream-name.ts";
import { App } from "./apps/app.ts";
import type { AppInfo } from "./apps/app-description.ts";
import { listApps } from "./apps/app-list.ts";
import { Cluster } from "./cluster.ts";
import { Connection } from "./connection.ts";
import { Addresses, isHttp, parseAddresses } from "./addresses.ts";
import { Cursor } from "./reading/cursor.ts";
import type { StreamInfo } from "./description.ts";
import { Diagnostics } from "./diagnostics.ts";
import { SYSTEM_ENVIRONMENT, type Environment } from "./environment.ts";
import { TidemarkError } from "./error.ts";
import { completeFollow, type FollowOptions } from "./reading/follow-options.ts";
import type { FollowedRecord, LogMark } from "./reading/followed-record.ts";
import { Group } from "./groups/group.ts";
import type { GroupInfo } from "./groups/group-description.ts";
import { listGroups } from "./groups/group-list.ts";
import type { HttpOptions, TokenSource } from "./transport/http-exchange.ts";
import { HttpTransport } from "./transport/http-transport.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import type { MergedStream } from "./reading/merged-stream.ts";
import type { ListOptions } from "./paged.ts";
import { platformWebSocket } from "./transport/platform-web-socket.ts";
import { Session } from "./transport/session.ts";
import { Stream } from "./stream.ts";
import { listStreams } from "./stream-list.ts";
import { ConnectionTaskLog } from "./apps/task-log.ts";
import { Transaction } from "./appending/transaction.ts";
import type { Transport } from "./transport/transport.ts";
import { TypedStream } from "./typed-stream.ts";
import { WebSocketTransport } from "./transport/web-socket-transport.ts";

export type ConnectOptions = {
  /** The bearer token, or what gives it for each request (so that it can be renewed). */
  readonly token?: TokenSource;
  /** Milliseconds for each call with its retries, unless the call says otherwise. Default 30,000. */
  readonly timeout?: number;
  /**
   * What reads may be answered from. `session`, the default: never from before what this client has seen, whichever node it
   * asks. `linearizable`: everything that any client was told is seen; each read then asks the leader where the log ends.
   * `eventual`: whatever the node has.
   */
  readonly consistency?: Consistency;
  /**
   * Compresses what is appended. What others compressed is read with it as well, or with the platform's own; browsers, and Node
   * 22.14 and older, have none, and are told `unsupported-compression` unless they are given one.
   */
  readonly zstd?: Zstd;
  /** Instead of the platform's own: for proxies, or tests. */
  readonly fetch?: typeof fetch;
  /** Instead of HTTP; `url` is then only a label. */
  readonly transport?: Transport;
  /** Instead of the platform's clock and randomness: for simulations. */
  readonly environment?: Environment;
};

/**
 * A client for the server or cluster at `url`, say `http://127.0.0.1:4437`; with `ws://` everything goes over one
 * WebSocket, faster where much is under way. Nothing is sent before the first call. Of several URLs, each that of a node
 * of one cluster, the first is asked until it cannot be reached, then the next.
 *
 * ```ts
 * await using client = connect("http://127.0.0.1:4437");
 * const orders = client.stream("orders");
 * await orders.create({ contentType: "application/json" });
 * await orders.append({ json: { id: 1 } });
 * for await (const record of orders.read()) console.log(record.offset, record.json());
 * ```
 */
export function connect(url: string | URL | readonly (string | URL)[], options: ConnectOptions = {}): Client {
  return new Client(url, options);
}

export class Client {
  /** The first, if it was given several. */
  readonly url: string;
  readonly #connection: Connection;
  readonly #cluster: Cluster;
  readonly #zstd: Zstd | undefined;

  constructor(url: string | URL | readonly (string | URL)[], options: ConnectOptions) {
    const addresses = parseAddresses(url);
    const [base] = addresses;
    const environment = options.environment ?? SYSTEM_ENVIRONMENT;
    const diagnostics = new Diagnostics(environment, base);
    const http = {
      addresses: new Addresses(addresses),
      session: new Session(options.consistency),
      token: options.token,
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
      clock: environment.clock,
    };
    const transport = options.transport ?? newTransport(base, environment, diagnostics, http);
    this.url = base.href;
    this.#zstd = options.zstd;
    const timeoutMs = options.timeout ?? CLIENT_LIMITS.callTimeoutMs;
    this.#connection = new Connection(environment, transport, { diagnostics, timeoutMs, zstd: options.zstd });
    this.#cluster = new Cluster({ ...http, environment, timeoutMs });
  }

  /** A handle for a stream, which need not exist. The name is the path below `/v1/stream/`, decoded: `orders/eu`. */
  stream(name: string): Stream;
  /**
   * A handle for a stream of JSON values that a schema describes: any validator's that implements Standard Schema.
   *
   * ```ts
   * const orders = client.stream("orders", { schema: v.object({ id: v.number() }) });
   * await orders.append({ json: { id: 1 } });
   * for await (const { data } of orders.read()) console.log(data.id);
   * ```
   */
  stream<Schema extends StandardSchemaV1>(
    name: string,
    options: { readonly schema: Schema },
  ): TypedStream<StandardSchemaV1.InferInput<Schema>, StandardSchemaV1.InferOutput<Schema>>;
  stream(name: string, options?: { readonly schema: StandardSchemaV1 }): Stream | TypedStream<unknown, unknown> {
    const checked = checkStreamName(name);
    if (!checked.ok) throw new TidemarkError(checked.error.code, checked.error.message);
    const stream = new Stream(this.#connection, name, this.#zstd);
    return options === undefined ? stream : new TypedStream(stream, options.schema);
  }

  /**
   * Follows many streams as one: their records in the order in which the log has them, each once, and goes on by itself
   * when the connection or the server was gone. Ends when all of the streams are over. Needs a WebSocket: `unsupported`
   * with a URL that begins with http.
   *
   * ```ts
   * for await (const record of client.follow(["orders", "payments"])) console.log(record.stream, record.json());
   * ```
   */
  follow(
    streams: readonly string[],
    options: FollowOptions & { readonly marks: true },
  ): MergedStream<FollowedRecord | LogMark>;
  follow(streams: readonly string[], options?: FollowOptions): MergedStream;
  follow(streams: readonly string[], options: FollowOptions = {}): MergedStream<FollowedRecord | LogMark> {
    return this.#connection.follow(completeFollow(streams, options, this.#zstd));
  }

  /**
   * The streams there are, by name: fetched page by page as the loop goes on.
   *
   * ```ts
   * for await (const { name, nextOffset } of client.streams({ prefix: "orders/" })) console.log(name, nextOffset);
   * ```
   */
  streams(options: ListOptions = {}): AsyncIterableIterator<StreamInfo, void, undefined> {
    return listStreams(this.#connection, options);
  }

  /**
   * A transaction: conditions and operations on any streams and cursors, committed whole or not at all.
   *
   * ```ts
   * await client
   *   .transaction()
   *   .expectCursor("shipping", "41")
   *   .append("shipments", { json: { order: 42 } })
   *   .setCursor("shipping", "42")
   *   .commit();
   * ```
   */
  transaction(): Transaction {
    return new Transaction(this.#connection, this.#zstd);
  }

  /** A handle for a named cursor, which need not exist. */
  cursor(name: string): Cursor {
    return new Cursor(this.#connection, name);
  }

  /**
   * A handle for a consumer group, which need not exist: consumers that share streams, or, as a queue, their records.
   *
   * ```ts
   * const workers = client.group("mailers");
   * await workers.create({ mode: "queue", streams: ["mails"], deadLetter: "mails-dead" });
   * await workers.run(async (mail) => send(mail.json()), { concurrency: 8 });
   * ```
   */
  group(id: string): Group {
    return new Group(this.#connection, id, this.#zstd);
  }

  /** The groups there are, by id: fetched page by page as the loop goes on. */
  groups(options: ListOptions = {}): AsyncIterableIterator<GroupInfo, void, undefined> {
    return listGroups(this.#connection, options);
  }

  /**
   * A handle for an app, a topology of operators that runs under a name; it need not be deployed.
   *
   * ```ts
   * const { tasks, paused } = await client.app("word-count").describe();
   * ```
   */
  app(name: string): App {
    return new App(this.#connection, name, this.#zstd);
  }

  /** The apps that are deployed, by name: fetched page by page as the loop goes on. */
  apps(options: ListOptions = {}): AsyncIterableIterator<AppInfo, void, undefined> {
    return listApps(this.#connection, options);
  }

  /** What runs the tasks of an app reads and commits by it. Needs a WebSocket: a URL that begins with ws. */
  taskLog(): TaskLog {
    return new ConnectionTaskLog(this.#connection, this.#zstd);
  }

  /**
   * The nodes that share the log: their state, and changes of which they are.
   *
   * ```ts
   * const { leader, members } = await client.cluster().status();
   * ```
   */
  cluster(): Cluster {
    return this.#cluster;
  }

  /** The highest position of the log that this client has seen: a later read elsewhere can be asked to be no older. */
  get sessionPosition(): number {
    return this.#connection.sessionPosition;
  }

  /** Ends everything under way. Close producers first: what they hold is given up. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function newTransport(base: URL, environment: Environment, diagnostics: Diagnostics, options: HttpOptions): Transport {
  if (isHttp(base)) return new HttpTransport(options);
  const webSocket = platformWebSocket();
  if (webSocket === undefined) {
    throw new TidemarkError("invalid-argument", "this platform has no WebSocket; use a URL that begins with http");
  }
  return new WebSocketTransport({ ...options, webSocket }, environment, diagnostics);
}
