/**
 * How far each member is, when it was heard, and whether a change of who votes is over (R37): only the leader knows, and any node
 * shows it, having asked. The body of the answer: u8 1 if a change is under way, varint count, ×(text node, varint entries that it
 * lacks, varint milliseconds of silence, u8 1 if it stands back, varint bytes of the snapshot on its way to it, or 0, varint of
 * these that it has).
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { MEMBERS_MAX } from "../../raft/limits.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import type { ClusterMemberStatus, ClusterStatus } from "./cluster-status.ts";

const NAME_BYTES_MAX = 255;

export type Standing = Required<Pick<ClusterMemberStatus, "lag" | "silentMs" | "standsBack" | "snapshot">>;

export type Standings = { readonly changing: boolean; readonly members: ReadonlyMap<string, Standing> };

export function handleStandings(calls: PeerCalls | undefined, own: () => ClusterStatus): void {
  calls?.handle("standings", () => Promise.resolve([encodeStandings(own())]));
}

/** What this node sees, with what the leader says of the change and of the others; without that where it does not answer in time. */
export async function withStandings(
  own: ClusterStatus,
  calls: PeerCalls | undefined,
  timeoutMs: number,
): Promise<ClusterStatus> {
  if (calls === undefined || own.leader === undefined || own.leader === own.node) return own;
  const answer = await calls.call(own.leader, "standings", [], timeoutMs);
  const standings = answer.ok ? decodeStandings(answer.value) : undefined;
  if (standings === undefined) return own;
  const { changing, members } = standings;
  return { ...own, changing, members: own.members.map((member) => ({ ...member, ...members.get(member.node) })) };
}

/** Of all whom this node leads. */
export function encodeStandings({ changing, members }: Pick<ClusterStatus, "changing" | "members">): Uint8Array {
  const known = members.filter(({ lag, silentMs }) => lag !== undefined && silentMs !== undefined);
  const writer = new ByteWriter().u8(changing ? 1 : 0).varint(known.length);
  for (const { node, lag = 0, silentMs = 0, standsBack = false, snapshot } of known) {
    writer
      .string(node)
      .varint(lag)
      .varint(Math.round(silentMs))
      .u8(standsBack ? 1 : 0)
      .varint(snapshot?.bytes ?? 0)
      .varint(snapshot?.sentBytes ?? 0);
  }
  return writer.finish();
}

/** Undefined for what is malformed. */
export function decodeStandings(bytes: Uint8Array): Standings | undefined {
  const reader = new ByteReader(bytes);
  const changing = reader.u8() === 1;
  const members = new Map<string, Standing>();
  for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1) {
    const node = reader.string(NAME_BYTES_MAX);
    const [lag, silentMs, standsBack] = [reader.varint(), reader.varint(), reader.u8() === 1];
    const [bytes, sentBytes] = [reader.varint(), reader.varint()];
    members.set(node, { lag, silentMs, standsBack, snapshot: bytes === 0 ? undefined : { bytes, sentBytes } });
  }
  return reader.complete ? { changing, members } : undefined;
}
