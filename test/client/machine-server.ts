/**
 * The real state machine behind transports in memory, under a clock that tests move: what members and takers of groups
 * see, with its leases and deadlines, and without logs or disks. A transport can be cut off, and can lose answers.
 */
import type { CallSignal } from "../../client/call-signal.ts";
import { asTidemarkError, TidemarkError, withOutcome } from "../../client/error.ts";
import type { Transport } from "../../client/transport/transport.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import type { SimClock } from "../../src/sim/clock.ts";
import type { Timer } from "../../src/ports/clock.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { ReadRequest, Request } from "../../src/wire/request.ts";
import type { RecordsResponse, Response } from "../../src/wire/response.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";

type Stored = {
  readonly firstOffset: number;
  readonly span: number;
  readonly logTime: number;
  readonly bytes: Uint8Array;
};

export class MachineServer {
  readonly clock: SimClock;
  readonly machine: StreamsMachine = new StreamsMachine(STREAMS_LIMITS);
  readonly #batches = new Map<number, Stored[]>();
  #tick: Timer | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(clock: SimClock) {
    this.clock = clock;
  }

  apply(command: Command): CommandResult {
    const { machine, clock } = this;
    const applied = machine.apply({ index: machine.position + 1, logTime: clock.now() }, [command]);
    for (const [place, bytes] of batchesOf(command).entries()) {
      const placement = applied.placements[place];
      if (placement?.accepted !== true) continue;
      const { streamId, firstOffset, span } = placement;
      const batches = this.#batches.get(streamId) ?? [];
      this.#batches.set(streamId, [...batches, { firstOffset, span, logTime: machine.logTime, bytes }]);
    }
    this.#planTick();
    this.wake();
    return applied.results[0] as CommandResult;
  }

  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves at the next change, or after so long, or when the signal fires. */
  async changed(withinMs: number, signal: CallSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.clock.schedule(withinMs, resolve);
    this.#waiting.add(resolve);
    signal.addEventListener("abort", resolve, { once: true });
    await promise;
    timer.cancel();
    this.#waiting.delete(resolve);
    signal.removeEventListener("abort", resolve);
  }

  /** As compaction does, for one batch: nothing of the stream's numbers changes. */
  forget(name: string, firstOffset: number): void {
    const id = this.machine.stream(name)?.id ?? 0;
    this.#batches.set(
      id,
      (this.#batches.get(id) ?? []).filter((batch) => batch.firstOffset !== firstOffset),
    );
  }

  read({ stream: name, incarnation, from, offset, maxBytes }: ReadRequest): Response {
    const stream = this.machine.stream(name);
    if (stream === undefined || (incarnation !== undefined && incarnation !== stream.incarnation))
      return this.error("stream-not-found");
    const start = { offset, start: stream.firstOffset, now: stream.nextOffset }[from];
    if (start < stream.firstOffset) return { ...this.error("offset-trimmed"), firstOffset: stream.firstOffset };
    const batches: Stored[] = [];
    let bytes = 0;
    for (const batch of this.#batches.get(stream.id) ?? []) {
      if (batch.firstOffset + batch.span <= start) continue;
      if (batches.length > 0 && bytes + batch.bytes.length > maxBytes) break;
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    const all = this.#batches.get(stream.id) ?? [];
    const behind = batches.length === 0 ? undefined : all[all.indexOf(batches.at(-1) as Stored) + 1];
    // What was forgotten between two batches is passed over with the first.
    const nextOffset = behind?.firstOffset ?? stream.nextOffset;
    const upToDate = nextOffset === stream.nextOffset;
    const facts = factsOf(stream);
    return { kind: "records", position: this.machine.position, ...facts, nextOffset, upToDate, batches };
  }

  error(code: ErrorCode): Extract<Response, { readonly kind: "error" }> {
    return { kind: "error", position: this.machine.position, code, message: code };
  }

  /** As the leader does: what is due happens though nobody asks for anything. */
  #planTick(): void {
    this.#tick?.cancel();
    const atMs = this.machine.nextDeadline();
    if (atMs === undefined) return;
    this.#tick = this.clock.schedule(Math.max(0, atMs - this.clock.now()), () => this.apply({ kind: "tick" }));
  }
}

/** Copies, as on any way to a server. Transactions come without any here. */
function batchesOf(command: Command): readonly Uint8Array[] {
  if (command.kind === "append-run") return command.batches.flatMap(({ bytes }) => bytes?.slice() ?? []);
  const bytes = "batch" in command ? command.batch?.bytes : undefined;
  return bytes === undefined ? [] : [bytes.slice()];
}

const LOOK_EVERY_MS = 100;

/** `lose-request`: never there, and nobody knows. `lose-answer`: done, and nobody told. `late`: done after the next one. */
export type Loss = "none" | "lose-request" | "lose-answer" | "late";

export class MachineTransport implements Transport {
  readonly #server: MachineServer;
  /** For commands, in order, and then none. */
  readonly losses: Loss[] = [];
  /** Nothing gets through, either way. */
  #cut = false;
  readonly commands: Command[] = [];
  readonly #late: Command[] = [];
  /** Groups are said to be ready whether or not they are: as where others are always faster. */
  hasty = false;
  /** Commands are carried out, and answered when this says so. */
  gate: Promise<void> | undefined;
  /** How many there were, and the most that one asked for. */
  reads = 0;
  readBytesMax = 0;

  constructor(server: MachineServer) {
    this.#server = server;
  }

  set cut(cut: boolean) {
    this.#cut = cut;
    this.#server.wake();
  }

  async request(request: Request, signal: CallSignal): Promise<Response> {
    await Promise.resolve();
    if (signal.aborted) throw withOutcome(asTidemarkError(signal.reason), "not-applied");
    if (this.#cut) throw new TidemarkError("connection-failed");
    switch (request.kind) {
      case "command": {
        this.commands.push(request.command);
        const loss = this.losses.shift();
        if (loss === "lose-request") throw new TidemarkError("connection-lost");
        if (loss === "late") {
          this.#late.push(request.command);
          throw new TidemarkError("connection-lost");
        }
        const result = this.#server.apply(request.command);
        for (const late of this.#late.splice(0)) this.#server.apply(late);
        await this.gate;
        if (loss === "lose-answer") throw new TidemarkError("connection-lost");
        return { kind: "result", position: this.#server.machine.position, result };
      }
      case "read":
        this.reads += 1;
        this.readBytesMax = Math.max(this.readBytesMax, request.maxBytes);
        return this.#wait(request.waitMs, signal, () => {
          const answer = this.#server.read(request);
          return answer.kind === "records" && answer.upToDate && answer.batches.length === 0 && !answer.closed
            ? { answer, isOver: false }
            : { answer, isOver: true };
        });
      case "group":
        return this.#wait(request.waitMs, signal, () => {
          const answer = this.#group(request);
          return { answer, isOver: answer.kind !== "group" || answer.ready };
        });
      default:
        throw new Error(`nobody asks for "${request.kind}" here`);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #wait(
    waitMs: number,
    signal: CallSignal,
    look: () => { readonly answer: Response; readonly isOver: boolean },
  ): Promise<Response> {
    const untilMs = this.#server.clock.monotonic() + waitMs;
    for (;;) {
      const { answer, isOver } = look();
      const leftMs = untilMs - this.#server.clock.monotonic();
      if (isOver || leftMs <= 0) return answer;
      // What rests is to be had again without anyone saying so.
      await this.#server.changed(Math.min(leftMs, LOOK_EVERY_MS), signal);
      if (signal.aborted) throw withOutcome(asTidemarkError(signal.reason), "not-applied");
      if (this.#cut) throw new TidemarkError("connection-lost");
    }
  }

  #group({ id, brief }: Extract<Request, { readonly kind: "group" }>): Response {
    const { machine, clock } = this.#server;
    const view = machine.group(id);
    if (view === undefined) return this.#server.error("group-not-found");
    const { config, createdAtMs, deadLettered, dropped, unlinked } = view;
    const atMs = machine.takeableAt(id);
    return {
      kind: "group",
      position: machine.position,
      config,
      createdAtMs,
      deadLettered,
      dropped,
      unlinked,
      ready: this.hasty || (atMs !== undefined && atMs <= Math.max(machine.logTime, clock.now())),
      members: brief ? [] : view.members(),
      streams: brief ? [] : view.streams(),
    };
  }
}

function factsOf(
  stream: StreamView,
): Pick<RecordsResponse, "incarnation" | "contentType" | "firstOffset" | "tail" | "closed"> {
  const { incarnation, contentType, firstOffset, nextOffset, closed } = stream;
  return { incarnation, contentType, firstOffset, tail: nextOffset, closed };
}
