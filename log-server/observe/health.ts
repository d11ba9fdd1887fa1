/**
 * `/livez` and `/readyz`: framework-free, because they answer before the log is open, too.
 *
 * Live means that the process should not be restarted; it never depends on a quorum, nor on the disk being read yet.
 * Ready means that requests should be sent here: recovered, a leader seen, little left to apply and no damage in its way, neither stopping nor
 * drained by an operator.
 */
import type { NodeStatus } from "../node/node-status.ts";
import type { Progress } from "./progress.ts";

/** More entries than this between committed and applied is not "caught up". */
const APPLY_LAG_MAX = 10_000;

export type HealthSources = {
  /** Undefined until the log is open. */
  readonly status: () => NodeStatus | undefined;
  readonly progress: () => Progress;
  readonly draining: () => boolean;
};

export type Check = { readonly name: string; readonly ok: boolean; readonly detail: string };

export type HealthAnswer = { readonly status: 200 | 503; readonly body: string };

export class Health {
  readonly #sources: HealthSources;

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  /** It is no member of its cluster any more. */
  get removed(): boolean {
    return this.#sources.status()?.phase === "removed";
  }

  /** The answer to a GET of this URL, if it is one of the two. */
  answer(url: string): HealthAnswer | undefined {
    const [path, query] = url.split("?", 2);
    const verbose = new URLSearchParams(query ?? "").has("verbose");
    if (path === "/livez") return this.#live();
    if (path === "/readyz") return this.#ready(verbose);
    return undefined;
  }

  get checks(): readonly Check[] {
    const status = this.#sources.status();
    if (status === undefined) {
      return [check("recovered", false, "the log is being opened"), this.#notDraining()];
    }
    const lag = status.commitIndex - status.appliedIndex;
    // Who leads nobody is all that there is: no other serves more.
    const isAlone = status.role === "leader" && status.followers.length === 0;
    const blocked = isAlone ? undefined : status.blocked;
    return [
      check("recovered", status.phase !== "recovering", status.phase),
      check(
        "member",
        status.phase !== "removed",
        status.phase === "removed" ? "it was removed from the cluster" : "yes",
      ),
      check("healthy", status.phase !== "failed", status.phase),
      check("leader", status.hasLeader, status.hasLeader ? `term ${status.term}` : "none is known"),
      check(
        "applied",
        lag <= APPLY_LAG_MAX && blocked === undefined,
        blocked === undefined
          ? `${lag} entries behind`
          : `${lag} entries behind, and not past damage: ${blocked.message}`,
      ),
      check("not-drained", !status.standsBack.includes("drained"), status.standsBack.join(" ") || "no"),
      this.#notDraining(),
    ];
  }

  #notDraining(): Check {
    const draining = this.#sources.draining();
    return check("not-draining", !draining, draining ? "stopping" : "no");
  }

  #live(): HealthAnswer {
    const failed = this.#sources.status()?.phase === "failed";
    return { status: failed ? 503 : 200, body: json({ status: failed ? "failed" : "live" }) };
  }

  #ready(verbose: boolean): HealthAnswer {
    const checks = this.checks;
    const failing = checks.filter(({ ok }) => !ok);
    const ready = failing.length === 0;
    const summary = { status: ready ? "ready" : "not-ready", failing: failing.map(({ name }) => name) };
    const body = verbose ? { ...summary, checks, progress: this.#sources.progress(), ...this.#facts() } : summary;
    return { status: ready ? 200 : 503, body: json(body) };
  }

  /** What a person looking wants to know and readiness does not depend on. */
  #facts(): object {
    const status = this.#sources.status();
    if (status === undefined) return {};
    const { term, commitIndex, appliedIndex, lastIndex, snapshotPosition, streams, diskFull, freeBytes, damage } =
      status;
    return {
      term,
      commitIndex,
      appliedIndex,
      lastIndex,
      snapshotPosition,
      streams,
      diskFull,
      freeBytes,
      damage: damage.length,
    };
  }
}

function check(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}

function json(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
