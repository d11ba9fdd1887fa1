/** The core's messages and work as lines that a person can read aloud. */
import type { Configuration } from "../../log-server/raft/configuration.ts";
import type { PeerMessage } from "../../log-server/raft/message.ts";
import type { LogPoint } from "../../log-server/raft/types.ts";
import { unreachable } from "../../src/lib/assert.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { decodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { type NodeEvent, type TestNode, textOf } from "./test-node.ts";

export function formatPoint({ index, term }: LogPoint): string {
  return `${index}/${term}`;
}

export function formatEntries(entries: readonly Entry[]): string {
  if (entries.length === 0) return "nothing";
  const first = entries[0] as Entry;
  const last = entries.at(-1) as Entry;
  if (entries.length > 4) return `${formatPoint(first)} to ${formatPoint(last)}`;
  return entries.map((entry) => `${formatPoint(entry)} ${formatContent(entry)}`).join(", ");
}

function formatContent(entry: Entry): string {
  if (entry.kind === "noop") return "no-op";
  if (entry.kind === "commands") return JSON.stringify(textOf(entry));
  const decoded = decodeConfiguration(entry.head);
  return decoded.ok ? `(${formatConfiguration(decoded.value)})` : "(?)";
}

export function formatConfiguration({ voters, outgoing, learners, demoted }: Configuration): string {
  const parts = [`voters ${voters.join(" ")}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(" ")}`);
  if (learners.length > 0)
    parts.push(`learners ${learners.map(({ id, wanted }) => (wanted === "voter" ? `${id}+` : id)).join(" ")}`);
  if (demoted.length > 0) parts.push(`demoted ${demoted.join(" ")}`);
  return parts.join(", ");
}

export function formatMessage(message: PeerMessage): string {
  return `${message.from} -> ${message.to} ${message.kind} @${message.term}${details(message)}`;
}

function details(message: PeerMessage): string {
  switch (message.kind) {
    case "pre-vote":
      return `: last ${formatPoint(message.last)}, committed ${formatPoint(message.committed)}`;
    case "vote": {
      const how = message.transfer ? ", handed over" : "";
      return `: last ${formatPoint(message.last)}, committed ${formatPoint(message.committed)}${how}`;
    }
    case "pre-vote-answer":
    case "vote-answer":
      return `: ${message.granted ? "granted" : "refused"}, committed ${formatPoint(message.committed)}`;
    case "append":
      return `: after ${formatPoint(message.prev)} ${formatEntries(message.entries)}; committed ${message.committed}`;
    case "append-accepted":
      return `: ${message.index}`;
    case "append-refused":
      return `: ${message.index}, perhaps ${formatPoint(message.hint)}${message.lost ? ", some was lost" : ""}`;
    case "heartbeat":
      return `: committed ${message.committed}, round ${message.round}`;
    case "heartbeat-answer":
      return `: round ${message.round}${message.standsBack ? ", stands back" : ""}`;
    case "snapshot":
      return `: ${formatPoint(message.snapshot)} (${formatConfiguration(message.snapshot.configuration)})`;
    case "campaign-now":
    case "outdated":
      return "";
    case "read":
      return `: ${message.context}`;
    case "read-answer":
      return `: ${message.context} ${message.index === undefined ? "refused" : `at ${message.index}`}`;
    default:
      return unreachable(message);
  }
}

/** Undefined for what need not be told. */
export function formatEvent(node: TestNode, event: NodeEvent): string | undefined {
  switch (event.kind) {
    case "sent":
      return formatMessage(event.message);
    case "appending": {
      const { hardState, entries } = event.work;
      const hard = hardState === undefined ? "" : ` term ${hardState.term}, vote ${hardState.vote ?? "none"}`;
      return `${node.id} writes${hard}${entries.length === 0 ? "" : `${hard && ";"} ${formatEntries(entries)}`}`;
    }
    case "appended":
      return node.slow.append ? `${node.id} has synced` : undefined;
    case "applied":
      return `${node.id} applies ${formatEntries(event.entries)}`;
    case "installed":
      return `${node.id} installs the snapshot ${formatPoint(event.snapshot)}`;
    case "fetch": {
      const { node: to, from, to: last } = event.work;
      return `${node.id} reads ${from} to ${last} for ${to}`;
    }
    case "needs-snapshot":
      return `${node.id} needs a snapshot for ${event.work.node}`;
    case "read":
      return `${node.id} may read ${event.read.context} at ${event.read.index}`;
    case "read-refused":
      return `${node.id} is refused read ${event.context}`;
    default:
      return unreachable(event);
  }
}
