/** `/v1/cluster` of a running node, as the verbs of `tidemark cluster` ask it. */
import { asErrorCode, TidemarkError } from "../../error.ts";

export type ClusterMember = {
  readonly node: string;
  readonly role: "voter" | "learner" | "joining" | "leaving";
  readonly leads: boolean;
  readonly host?: string;
  readonly port?: number;
  readonly lag?: number;
  readonly silentMs?: number;
};

export type ClusterView = {
  readonly cluster: string;
  readonly node: string;
  readonly leader?: string;
  readonly term: number;
  readonly committed: number;
  readonly applied: number;
  readonly changing: boolean;
  readonly members: readonly ClusterMember[];
};

export type ClusterServer = { readonly url: string; readonly token: string | undefined; readonly timeoutMs: number };

export async function clusterView(server: ClusterServer): Promise<ClusterView> {
  return (await ask(server, "GET", "").then((answer) => answer.json())) as ClusterView;
}

/** Resolves when it is done. `path` is below `/v1/cluster`. */
export async function changeCluster(
  server: ClusterServer,
  method: "POST" | "DELETE",
  path: string,
  body?: object,
): Promise<void> {
  await ask(server, method, path, body);
}

async function ask(
  { url, token, timeoutMs }: ClusterServer,
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(new URL(`/v1/cluster${path}`, url.replace(/^ws/, "http")), {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    // Changes may be asked for again: what is done already is not done twice.
    throw new TidemarkError("connection-failed", `${url} cannot be reached, or did not answer in time`, { cause });
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as { readonly code?: string; readonly detail?: string };
  throw new TidemarkError(
    asErrorCode(problem.code ?? "") ?? "protocol-error",
    problem.detail ?? `${url} answered ${answer.status}`,
  );
}
