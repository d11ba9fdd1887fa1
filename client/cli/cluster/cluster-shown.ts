/** The cluster as the command line shows it. */
import type { ClusterMember, ClusterStatus } from "../../cluster.ts";
import { formatFields, formatTable, type Column } from "../output.ts";

const COLUMNS: readonly Column[] = [
  { title: "NODE" },
  { title: "ROLE" },
  { title: "ADDRESS" },
  { title: "LAG", align: "right" },
  { title: "HEARD", align: "right" },
];

export function clusterText(view: ClusterStatus): string {
  const { cluster, node, leader = "none known", term, committed, applied, changing, members } = view;
  const fields = formatFields({
    "cluster": cluster,
    "seen by": node,
    "leader": `${leader}, term ${term}`,
    "position": applied === committed ? `${applied}` : `${applied} of ${committed}`,
    "change": changing ? "under way" : undefined,
  });
  return `${fields}\n${formatTable(COLUMNS, members.map(cells))}`;
}

function cells({ node, role, leads, host, port, lag, silentMs }: ClusterMember): readonly string[] {
  const address = host === undefined ? "-" : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const heard = silentMs === undefined ? "-" : `${silentMs} ms ago`;
  return [node, leads ? "leader" : role, address, lag === undefined ? "-" : `${lag}`, heard];
}
