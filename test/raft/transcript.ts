/**
 * Runs a transcript, in the manner of etcd's interaction tests: blocks of commands, a line `----`, and everything that
 * happened because of them; blocks are separated by an empty line, `#` begins a comment. `TRANSCRIPTS=write` writes down
 * what happens instead of comparing it: read it before you keep it.
 *
 *     cluster n1 n2 n3 [election=T] [inflight=N] [message=BYTES] [uncommitted=BYTES]
 *     node ID [log=1,1,2] [term=T] [vote=ID] [voters=a,b,c]   a node with a past; before the cluster runs
 *     campaign|tick|propose|change|transfer|hand-over|read ID …         tick ID [count]; change ID add:x learn:x demote:x remove:x
 *     deliver [FROM>TO] [KIND]     all that is under way now, once; `drop` and `repeat` (delivers, and keeps a copy) alike
 *     settle                       until nothing is under way
 *     stand-back|stand-up ID       it is not to lead, or may again
 *     slow|fast ID PART;  finish ID PART              append, apply, fetch or install
 *     crash ID; restart ID [damaged=N|unreadable=N]; save ID; trim ID INDEX; ship ID; settle-tail ID INDEX TERM
 *     cut A B; cut A>B; heal; pause (forgets what is under way)
 *     message FROM>TO append term=T prev=I/T entries=I/T,…   one that was never sent here
 *     status ID; log ID; silent|loud (tells nothing, or all again)
 */
import { configurationOf } from "../../log-server/raft/configuration.ts";
import type { MembershipChange } from "../../log-server/raft/config-change.ts";
import { RAFT_LIMITS } from "../../log-server/raft/limits.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import { formatConfiguration, formatEvent } from "./format.ts";
import type { LogPoint } from "../../log-server/raft/types.ts";
import { TestCluster } from "./test-cluster.ts";
import { diskWith, emptyDisk, entryOf, type NodeSettings, SETTINGS, type TestNode } from "./test-node.ts";

/** The whole text again, with what really happened. */
export function runTranscript(text: string): string {
  const runner = new Runner();
  const blocks = text.trim().split(/\n{2,}/);
  return `${blocks.map((block) => runBlock(runner, block)).join("\n\n")}\n`;
}

function runBlock(runner: Runner, block: string): string {
  const lines = block.split("\n");
  const end = lines.indexOf("----");
  const commands = end < 0 ? lines : lines.slice(0, end);
  const runs = commands.filter((line) => !line.startsWith("#"));
  if (runs.length === 0) return block;
  for (const line of runs) runner.run(line);
  return [...commands, "----", ...runner.take()].join("\n");
}

class Runner {
  #cluster = new TestCluster();
  #settings: NodeSettings = SETTINGS;
  #said: string[] = [];
  #loud = true;
  readonly #roles = new Map<string, string>();

  take(): string[] {
    const said = this.#said;
    this.#said = [];
    return said.length === 0 ? ["nothing"] : said;
  }

  run(line: string): void {
    const [command = "", ...words] = line.split(/\s+/).filter((word) => word !== "");
    try {
      this.#do(command, words);
    } catch (error) {
      this.#said.push(`failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#tellRoles();
  }

  #do(command: string, words: readonly string[]): void {
    const cluster = this.#cluster;
    const names = words.filter((word) => !word.includes("="));
    const option = (name: string): string | undefined =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    const node = (): TestNode => cluster.node(names[0] ?? "");
    switch (command) {
      case "cluster": {
        const number = (name: string, otherwise: number): number => Number(option(name) ?? otherwise);
        this.#settings = {
          ...SETTINGS,
          electionTicks: number("election", SETTINGS.electionTicks),
          limits: {
            ...RAFT_LIMITS,
            inflightMessagesMax: number("inflight", RAFT_LIMITS.inflightMessagesMax),
            messageBytesMax: number("message", RAFT_LIMITS.messageBytesMax),
            uncommittedBytesMax: number("uncommitted", RAFT_LIMITS.uncommittedBytesMax),
            keptBytesMax: number("kept", RAFT_LIMITS.keptBytesMax),
          },
        };
        this.#cluster = new TestCluster();
        this.#cluster.onEvent = (from, event) => {
          this.#tellRoles();
          const said = formatEvent(from, event);
          if (said !== undefined && this.#loud) this.#said.push(said);
        };
        for (const id of names) this.#cluster.add(id, emptyDisk(configurationOf(names)), this.#settings);
        return;
      }
      case "node": {
        const voters = (option("voters") ?? [...cluster.nodes.keys(), names[0] ?? ""].join(",")).split(",");
        const terms = (option("log") ?? "").split(",").filter((term) => term !== "");
        const hardState = { term: Number(option("term") ?? terms.at(-1) ?? 0), vote: option("vote") };
        cluster.add(names[0] ?? "", diskWith(terms.map(Number), hardState, voters), this.#settings);
        return;
      }
      case "campaign":
        node().core.campaign();
        return cluster.run(node());
      case "tick":
        for (let count = Number(names[1] ?? 1); count > 0; count -= 1) cluster.tick(node());
        return;
      case "propose":
        return this.#answer(node(), node().propose(names.slice(1).join(" ")));
      case "change":
        return this.#answer(node(), node().core.proposeChange(names.slice(1).map(parseChange)));
      case "transfer":
        return this.#answer(node(), node().core.transferLeadership(names[1] ?? ""));
      case "hand-over":
        if (!node().core.handOver()) this.#said.push("to nobody");
        return cluster.run(node());
      case "read":
        if (!cluster.read(node(), Number(names[1]))) this.#said.push("refused");
        return;
      case "settle":
        return cluster.settle();
      case "deliver":
        for (const message of this.#take(names)) cluster.hand(message);
        return;
      case "repeat": {
        const taken = this.#take(names);
        for (const message of taken) cluster.hand(message);
        cluster.messages.unshift(...taken);
        return;
      }
      case "drop":
        this.#take(names);
        return;
      case "slow":
      case "fast":
        node().slow[names[1] as "append"] = command === "slow";
        return;
      case "finish":
        return this.#finish(node(), names[1] ?? "");
      case "save":
        return node().saveImage();
      case "trim":
        node().trim(Number(names[1]));
        return cluster.run(node());
      case "ship":
        return cluster.shipAll(node());
      case "unreachable":
        node().core.step({ kind: "unreachable", node: names[1] ?? "" });
        return cluster.run(node());
      default:
        return this.#doRare(command, names, option);
    }
  }

  #doRare(command: string, names: readonly string[], option: (name: string) => string | undefined): void {
    const cluster = this.#cluster;
    const node = (): TestNode => cluster.node(names[0] ?? "");
    switch (command) {
      case "crash":
        return node().crash();
      case "restart": {
        const lost = option("damaged") ?? option("unreadable");
        cluster.checkMajorities &&= lost === undefined;
        node().restart(
          lost === undefined ? undefined : { entries: Number(lost), readable: option("damaged") !== undefined },
        );
        return cluster.run(node());
      }
      case "stand-back":
      case "stand-up":
        return node().core.standBack(command === "stand-back");
      case "settle-tail":
        node().core.settleTail({ index: Number(names[1]), term: Number(names[2]) });
        return cluster.run(node());
      case "message":
        return this.#forge(names, option);
      case "cut":
        for (const way of names.length === 2 ? [names.join(">"), [...names].reverse().join(">")] : names)
          cluster.cut.add(way);
        return;
      case "heal":
        return cluster.cut.clear();
      case "status":
        this.#said.push(statusLine(node()));
        return;
      case "log":
        this.#said.push(logLine(node()));
        return;
      case "silent":
      case "loud":
        this.#loud = command === "loud";
        return;
      default:
        throw new Error(`there is no command ${command}`);
    }
  }

  #forge([way = ""]: readonly string[], option: (name: string) => string | undefined): void {
    const [from = "", to = ""] = way.split(">");
    const points = (name: string): LogPoint[] =>
      (option(name) ?? "").split(",").map((point) => {
        const [index, term] = point.split("/");
        return { index: Number(index), term: Number(term) };
      });
    const entries = points("entries").map(({ index, term }) => entryOf(index, term, `${index}/${term}`));
    const prev = points("prev")[0] as LogPoint;
    this.#cluster.hand({ kind: "append", from, to, term: Number(option("term")), prev, committed: 0, entries });
  }

  #finish(node: TestNode, part: string): void {
    if (part === "append") node.finishAppend();
    else if (part === "apply") node.finishApply();
    else if (part === "install") node.finishInstall();
    else node.finishFetches();
    this.#cluster.run(node);
  }

  #answer(node: TestNode, result: { readonly ok: boolean; readonly error?: unknown }): void {
    if (!result.ok) this.#said.push(`refused: ${String(result.error)}`);
    this.#cluster.run(node);
  }

  #take([first, second]: readonly string[]): PeerMessage[] {
    const way = first?.includes(">") === true ? first : undefined;
    const kind = way === undefined ? first : second;
    const fits = (message: PeerMessage): boolean =>
      (way === undefined || `${message.from}>${message.to}` === way) && (kind === undefined || message.kind === kind);
    const taken = this.#cluster.messages.filter(fits);
    this.#cluster.messages = this.#cluster.messages.filter((message) => !fits(message));
    return taken;
  }

  #tellRoles(): void {
    for (const { id, core, down } of this.#cluster.nodes.values()) {
      const role = down ? "down" : `${core.role} @${core.term}`;
      const before = this.#roles.get(id) ?? "follower @0";
      this.#roles.set(id, role);
      if (role !== before && this.#loud) this.#said.push(`${id} is ${role}`);
    }
  }
}

function parseChange(word: string): MembershipChange {
  const [kind, node = ""] = word.split(":");
  switch (kind) {
    case "add":
      return { kind: "add", node, as: "voter" };
    case "learn":
      return { kind: "add", node, as: "learner" };
    case "demote":
    case "remove":
      return { kind, node };
    default:
      throw new Error(`there is no change ${word}`);
  }
}

function statusLine({ id, core }: TestNode): string {
  const status = core.status();
  const parts = [
    `${id}: ${status.role} @${status.term}, leader ${status.leader ?? "unknown"}`,
    `log ${status.firstIndex} to ${status.lastIndex}, stable ${status.stable}`,
    `committed ${status.committed}, applied ${status.applied}`,
    formatConfiguration(status.configuration),
    ...status.followers.map((follower) => `${follower.id} ${follower.flow} ${follower.match}`),
  ];
  return parts.join("; ");
}

function logLine(node: TestNode): string {
  const terms: string[] = [];
  for (let index = node.disk.base.index + 1; index <= node.core.lastIndex; index += 1)
    terms.push(String(node.term(index)));
  return `${node.id}: ${terms.join(" ")}`;
}
