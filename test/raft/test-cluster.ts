/**
 * Several nodes and the messages between them. After every step it checks what must never fail: one leader per term (I1),
 * matching logs (I2), committed entries kept (I3), the same entries applied (I4), commits backed by synced majorities
 * (I5), and reads that know all that was committed when they were asked.
 */
import { type Configuration, configurationOf, isJoint } from "../../log-server/raft/configuration.ts";
import { decodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { decodeMessage, encodeMessage } from "../../log-server/raft/message-codec.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import type { RawNode } from "../../log-server/raft/raw-node.ts";
import { majorityOf } from "../../log-server/raft/quorum.ts";
import { concat } from "../../src/lib/bytes.ts";
import type { Entry } from "../../src/wire/entry.ts";
import {
  emptyDisk,
  type NodeEvent,
  type NodeSettings,
  SETTINGS,
  type TestDisk,
  TestNode,
  textOf,
} from "./test-node.ts";

/** As the receiver gets it: every message of every run goes through its bytes. */
function overTheWire(message: PeerMessage): PeerMessage {
  const decoded = decodeMessage(concat(encodeMessage(0, message)));
  if (!decoded.ok || decoded.value.kind === "unknown") throw new Error(`cannot be decoded: ${JSON.stringify(message)}`);
  return decoded.value.message;
}

export class TestCluster {
  readonly nodes = new Map<string, TestNode>();
  /** In the order they were sent. */
  messages: PeerMessage[] = [];
  /** Where nothing gets through, as `from>to`. */
  readonly cut = new Set<string>();
  onEvent: (node: TestNode, event: NodeEvent) => void = () => undefined;
  /** Damaged disks break the promise that what was synced stays. */
  checkMajorities = true;
  readonly #leaders = new Map<number, string>();
  readonly #entries = new Map<string, string>();
  readonly #committed: Entry[] = [];
  /** In which term at the latest each was committed. */
  readonly #committedBy: number[] = [];
  readonly #leading = new Map<string, number>();
  readonly #asked = new Map<string, number>();
  /** Reads without an answer, by node and life. */
  readonly #waiting = new Map<string, { readonly core: RawNode; readonly contexts: Set<number> }>();
  readonly #texts = new WeakMap<Configuration, string>();
  /** As of the entries known to be committed; the first is what the cluster was founded with. */
  readonly #configurations: { readonly index: number; readonly configuration: Configuration; readonly text: string }[] =
    [];
  /** As of the last look at each node. */
  readonly #looks = new Map<string, { readonly core: RawNode; readonly committed: number; readonly applied: number }>();

  add(id: string, disk: TestDisk, settings: NodeSettings = SETTINGS): TestNode {
    const seed = settings.seed * 1_009 + this.nodes.size;
    const node = new TestNode(id, disk, { ...settings, seed }, (from, event) => this.#watch(from, event));
    this.nodes.set(id, node);
    if (this.#configurations.length === 0 && disk.image.applied === 0)
      this.#noteConfiguration(0, disk.image.configuration);
    for (const entry of disk.entries) this.#known(entry, node.diskTerm(entry.index - 1) ?? 0);
    return node;
  }

  static of(voters: readonly string[], settings: NodeSettings = SETTINGS): TestCluster {
    const cluster = new TestCluster();
    for (const id of voters) cluster.add(id, emptyDisk(configurationOf(voters)), settings);
    return cluster;
  }

  node(id: string): TestNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  /** The leader of the newest term. */
  get leader(): TestNode | undefined {
    const leading = [...this.nodes.values()].filter((node) => !node.down && node.core.role === "leader");
    return leading.sort((a, b) => b.core.term - a.core.term)[0];
  }

  /** Reads of lives that go on. */
  get unansweredReads(): number {
    let count = 0;
    for (const node of this.nodes.values()) if (!node.down) count += this.#waitingAt(node).size;
    return count;
  }

  /** How many entries are known to be committed. */
  get committed(): number {
    return this.#committed.length;
  }

  run(node: TestNode): void {
    if (node.down) return;
    node.run();
    this.check(node);
  }

  tick(node: TestNode): void {
    if (node.down) return;
    node.core.tick();
    this.run(node);
  }

  /** Hands over a message that is no longer under way. */
  hand(message: PeerMessage): void {
    const node = this.nodes.get(message.to);
    if (node === undefined || node.down || this.cut.has(`${message.from}>${message.to}`)) return;
    node.core.step(message);
    this.run(node);
  }

  /** Delivers, in order, until nothing is under way. */
  settle(messagesMax = 100_000): void {
    for (let left = messagesMax; left > 0; left -= 1) {
      const message = this.messages.shift();
      if (message === undefined) return;
      this.hand(message);
    }
    throw new Error("the cluster does not come to rest");
  }

  /** Ticks everybody, and delivers what comes of it, until `done` or too long. */
  tickUntil(done: () => boolean, ticksMax: number): boolean {
    for (let ticks = 0; ticks < ticksMax; ticks += 1) {
      if (done()) return true;
      for (const node of this.nodes.values()) this.tick(node);
      for (const node of this.nodes.values()) this.shipAll(node);
      this.settle();
    }
    return done();
  }

  read(node: TestNode, context: number): boolean {
    const asked = node.core.readIndex(context);
    if (asked.ok) {
      this.#asked.set(`${node.id}:${context}`, this.#committed.length);
      this.#waitingAt(node).add(context);
    }
    this.run(node);
    return asked.ok;
  }

  /** Ships the snapshots that a leader was asked for. */
  shipAll(node: TestNode): void {
    const works = node.snapshots;
    node.snapshots = [];
    for (const work of works) {
      const to = this.node(work.node);
      if (node.down) continue;
      const snapshot = node.snapshot();
      const offer = node.core.snapshotOffer(work.node, snapshot);
      const failed = to.down || offer === undefined || this.cut.has(`${node.id}>${to.id}`);
      if (!failed) {
        to.received.set(snapshot.index, node.disk.image.commands);
        this.messages.push(offer);
      }
      const outcome = failed ? ({ kind: "failed" } as const) : ({ kind: "sent", index: snapshot.index } as const);
      node.core.step({ kind: "snapshot-status", id: work.id, node: work.node, outcome });
      this.run(node);
    }
  }

  check(node: TestNode): void {
    const { core, id } = node;
    this.#checkConfiguration(node);
    this.#checkDecisions(node);
    if (core.role !== "leader") {
      this.#leading.delete(id);
      return;
    }
    const before = this.#leaders.get(core.term);
    if (before !== undefined && before !== id) throw new Error(`I1: ${before} and ${id} lead term ${core.term}`);
    this.#leaders.set(core.term, id);
    if (this.#leading.get(id) === core.term) return;
    this.#leading.set(id, core.term);
    for (const [place, { index, term }] of this.#committed.entries()) {
      // Votes may come so late that an earlier term's leader begins when a later one has committed something already.
      if ((this.#committedBy[place] as number) >= core.term) break;
      if (index > node.disk.base.index && node.term(index) !== term)
        throw new Error(`I3: ${id} leads term ${core.term} without the committed entry ${index}/${term}`);
    }
  }

  #watch(node: TestNode, event: NodeEvent): void {
    switch (event.kind) {
      case "sent":
        this.messages.push(overTheWire(event.message));
        if (event.message.kind === "append") this.#checkSent(event.message);
        if (event.message.kind === "append-accepted") this.#checkAccepted(node, event.message);
        break;
      case "appended":
        this.#checkLog(node, event.work.entries);
        break;
      case "applied":
        this.#checkApplied(node, event.entries);
        break;
      case "read": {
        this.#waitingAt(node).delete(event.read.context);
        const asked = this.#asked.get(`${node.id}:${event.read.context}`) ?? Number.POSITIVE_INFINITY;
        if (event.read.index < asked)
          throw new Error(`${node.id}: a read asked when ${asked} was committed is told ${event.read.index}`);
        break;
      }
      case "appending":
      case "installed":
      case "fetch":
      case "needs-snapshot":
        break;
      case "read-refused":
        this.#waitingAt(node).delete(event.context);
    }
    this.onEvent(node, event);
  }

  #checkSent({ prev, entries }: Extract<PeerMessage, { kind: "append" }>): void {
    let before = prev.term;
    for (const entry of entries) {
      this.#known(entry, before);
      before = entry.term;
    }
  }

  /** I5, I13: what a follower says it has is on its disk, as in the log of the leader that it tells. */
  #checkAccepted(node: TestNode, { to, term, index }: Extract<PeerMessage, { kind: "append-accepted" }>): void {
    const leader = this.node(to);
    if (leader.down || leader.core.role !== "leader" || leader.core.term !== term) return;
    const [there, here] = [leader.term(index), node.diskTerm(index)];
    // Before where its log begins there is a snapshot.
    if (there === undefined || index < node.disk.base.index) return;
    if (here !== there) throw new Error(`I5: ${node.id} acknowledges ${index}/${there}, but its disk has ${here}`);
  }

  #checkLog(node: TestNode, entries: readonly Entry[]): void {
    for (const entry of entries) this.#known(entry, node.diskTerm(entry.index - 1) ?? 0);
  }

  /** I2, by induction: an index and a term name one entry, with one before it. */
  #known(entry: Entry, previousTerm: number): void {
    const key = `${entry.index}/${entry.term}`;
    const value = `${previousTerm}:${entry.kind}:${textOf(entry)}`;
    const known = this.#entries.get(key);
    if (known !== undefined && known !== value) throw new Error(`I2: ${key} is ${known} and ${value}`);
    this.#entries.set(key, value);
  }

  #checkApplied(node: TestNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const known = this.#committed[entry.index - 1];
      if (known === undefined) {
        if (entry.index !== this.#committed.length + 1) throw new Error(`I4: ${node.id} skips to ${entry.index}`);
        this.#committed.push(entry);
        this.#committedBy.push(Math.max(node.core.term, this.#committedBy.at(-1) ?? 0));
        if (entry.kind === "configuration") this.#noteConfiguration(entry.index, configurationIn(entry));
        if (this.checkMajorities) this.#checkMajority(node, entry);
      } else if (known.term !== entry.term || textOf(known) !== textOf(entry)) {
        throw new Error(`I4: ${node.id} applies ${entry.index}/${entry.term}, another ${known.index}/${known.term}`);
      }
    }
  }

  #waitingAt(node: TestNode): Set<number> {
    const known = this.#waiting.get(node.id);
    if (known?.core === node.core) return known.contexts;
    const contexts = new Set<number>();
    this.#waiting.set(node.id, { core: node.core, contexts });
    return contexts;
  }

  #noteConfiguration(index: number, configuration: Configuration): void {
    this.#configurations.push({ index, configuration, text: JSON.stringify(configuration) });
  }

  /** I10: whoever has applied so much has this configuration (P20). What damage takes back is not known here. */
  #checkConfiguration({ core, id }: TestNode): void {
    if (!this.checkMajorities || core.applied > this.#committed.length) return;
    const text = this.#configurations.findLast(({ index }) => index <= core.applied)?.text;
    const found = this.#textOf(core.configuration);
    if (text !== undefined && found !== text)
      throw new Error(`I10: ${id} has applied ${core.applied} and has ${found}, not ${text}`);
  }

  #textOf(configuration: Configuration): string {
    let text = this.#texts.get(configuration);
    if (text === undefined) this.#texts.set(configuration, (text = JSON.stringify(configuration)));
    return text;
  }

  /**
   * Who leads was elected, and what it commits is on disk, by majorities of all that had to agree (I1, I5, P19). What had to
   * is what was applied at the last look, or has been since.
   */
  #checkDecisions(node: TestNode): void {
    const { core, id } = node;
    const look = this.#looks.get(id);
    this.#looks.set(id, { core, committed: core.committed, applied: core.applied });
    if (look?.core !== core || core.role !== "leader" || !this.checkMajorities) return;
    const first = Math.max(
      0,
      this.#configurations.findLastIndex(({ index }) => index <= look.applied),
    );
    const choices = this.#configurations.slice(first).filter(({ index }) => index <= core.applied);
    if (choices.length === 0) return;
    const agreed = (agrees: (voter: TestNode) => boolean): boolean =>
      choices.some(({ configuration: { voters, outgoing } }) =>
        [voters, outgoing].every((half) => {
          const count = half.filter((name) => this.nodes.has(name) && agrees(this.node(name))).length;
          return half.length === 0 || count >= majorityOf(half.length);
        }),
      );
    const { term } = core;
    if (this.#leading.get(id) !== term) {
      // Who has gone on to a later term may have voted in this one.
      const voted = agreed(
        ({ disk: { hardState } }) => hardState.term > term || (hardState.term === term && hardState.vote === id),
      );
      if (!voted) throw new Error(`I1: ${id} leads term ${term}, and no majority voted for it`);
    } else if (core.committed > look.committed && node.term(core.committed) === term) {
      const { committed } = core;
      const synced = agreed((voter) => voter.diskTerm(committed) === term || voter.disk.base.index >= committed);
      if (!synced) throw new Error(`I5: ${id} commits ${committed}/${term}, and no majority has synced it`);
    }
  }

  /** I5: a majority of those who vote has it on disk. While the configuration changes it is not known here who decided. */
  #checkMajority(node: TestNode, entry: Entry): void {
    const { configuration } = node.core;
    if (isJoint(configuration) || entry.kind === "configuration") return;
    const { voters } = configuration;
    // A voter that the test leaves out has nothing.
    const holders = voters.filter((id) => {
      const voter = this.nodes.get(id);
      return voter?.diskTerm(entry.index) === entry.term || (voter?.disk.base.index ?? 0) >= entry.index;
    });
    if (holders.length < majorityOf(voters.length))
      throw new Error(`I5: ${entry.index}/${entry.term} is applied, but only ${holders.join(", ")} have synced it`);
  }
}

function configurationIn({ index, head }: Entry): Configuration {
  const decoded = decodeConfiguration(head);
  if (!decoded.ok) throw new Error(`the configuration of entry ${index} cannot be decoded`);
  return decoded.value;
}
