/** The cluster as the command line shows it. */
import type { ClusterMember, ClusterStatus } from "../../cluster.ts";
import { formatBytes, formatFields, formatTable, type Column } from "../output.ts";

const COLUMNS: readonly Column[] = [
  { title: "NODE" },
  { title: "ROLE" },
  { title: "ADDRESS" },
  { title: "LAG", align: "right" },
  { title: "HEARD", align: "right" },
  { title: "CLOCK", align: "right" },
  { title: "SUPPORTS", align: "right" },
];

const REASONS = {
  drained: "drained",
  clock: "its clock is far from the others'",
  disk: "its disk is too full",
} as const;

export function clusterText(view: ClusterStatus): string {
  const {
    cluster,
    node,
    leader = "none known",
    term,
    committed,
    applied,
    standsBack,
    featureLevel,
    changing,
    members,
  } = view;
  const supported = members.map(({ supports = featureLevel }) => supports);
  const newer = Math.max(featureLevel, Math.min(...supported));
  const fields = formatFields({
    "cluster": cluster,
    "seen by": node,
    "leader": `${leader}, term ${term}`,
    "position": applied === committed ? `${applied}` : `${applied} of ${committed}`,
    "not to lead": standsBack.length === 0 ? undefined : standsBack.map((reason) => REASONS[reason]).join(", "),
    "feature level": newer === featureLevel ? `${featureLevel}` : `${featureLevel}, could be ${newer}`,
    "change": changing ? "under way" : undefined,
  });
  return `${fields}\n${formatTable(COLUMNS, members.map(cells))}`;
}

export function snapshotText({ bytes, sentBytes }: NonNullable<ClusterMember["snapshot"]>): string {
  return `${formatBytes(sentBytes)} of ${formatBytes(bytes)} of a snapshot`;
}

function cells(member: ClusterMember): readonly string[] {
  const { node, role, leads, host, port, lag, silentMs, snapshot, standsBack = false, clockAheadMs, supports } = member;
  const address = host === undefined ? "-" : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const heard = silentMs === undefined ? "-" : `${silentMs} ms ago`;
  const has = snapshot === undefined ? "" : `, has ${snapshotText(snapshot)}`;
  const shownRole = `${leads ? "leader" : role}${standsBack ? ", stands back" : ""}${has}`;
  const clock = clockAheadMs === undefined ? "-" : `${clockAheadMs < 0 ? "" : "+"}${clockAheadMs} ms`;
  return [
    node,
    shownRole,
    address,
    lag === undefined ? "-" : `${lag}`,
    heard,
    clock,
    supports === undefined ? "-" : `${supports}`,
  ];
}
