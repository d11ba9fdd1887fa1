/**
 * Whether a cluster that is waited for comes nearer. Whoever is behind makes progress by lacking less than ever, of the log or
 * of the snapshot that it is sent: what others write meanwhile is none.
 */
import type { ClusterMember, ClusterStatus } from "../../cluster.ts";

/** Under load a member is silent for a moment now and then. */
export const SILENT_MS_MAX = 2_000;

export class Progress {
  #shape: string | undefined;
  /** By node: what it lacked at the least since the shape is this one. */
  readonly #least = new Map<string, number>();

  /** An error's code, where no status could be had. */
  moved(view: ClusterStatus | string): boolean {
    const shape = typeof view === "string" ? view : shapeOf(view);
    const changed = shape !== this.#shape;
    if (changed) this.#least.clear();
    this.#shape = shape;
    // All are asked, for each is measured by what it lacked at the least.
    const nearer = typeof view !== "string" && view.members.filter((member) => this.#nearer(member)).length > 0;
    return changed || nearer;
  }

  #nearer({ node, lag, snapshot }: ClusterMember): boolean {
    const lacks = snapshot === undefined ? lag : snapshot.bytes - snapshot.sentBytes;
    if (lacks === undefined) return false;
    const least = this.#least.get(node);
    if (least !== undefined && least <= lacks) return false;
    this.#least.set(node, lacks);
    return least !== undefined;
  }
}

/** All that changes seldom: who leads, who takes part, to whom a snapshot is sent. */
function shapeOf({ leader, changing, members }: ClusterStatus): string {
  const states = members.map(({ node, role, silentMs = 0, snapshot }) => {
    return [node, role, silentMs > SILENT_MS_MAX, snapshot?.bytes];
  });
  return JSON.stringify([leader, changing, states]);
}
