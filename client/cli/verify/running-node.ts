/** Has a running node verify what it has sealed, and waits for it. */
import { asErrorCode, TidemarkError } from "../../error.ts";

export type NodeFinding = { readonly kind: string; readonly message: string; readonly segment?: number };

export type NodeVerdict = {
  /** Read by this pass. */
  readonly bytes: number;
  readonly damage: readonly NodeFinding[];
  /** Found on the way, and made good since. */
  readonly mended: readonly NodeFinding[];
};

type Verified = { readonly passes: number; readonly bytes: number; readonly damage: readonly NodeFinding[] };

const POLL_MS = 250;
/** After everything was read, damage has so long to be made good. */
const MEND_MS_MAX = 10_000;

export async function verifyNode(
  server: { readonly url: string; readonly token: string | undefined },
  timeoutMs: number,
  onProgress: (bytes: number) => void,
): Promise<NodeVerdict> {
  const ask = async (method: "GET" | "POST"): Promise<unknown> => {
    const headers = server.token === undefined ? {} : { authorization: `Bearer ${server.token}` };
    let answer: Response;
    try {
      answer = await fetch(new URL("/v1/verify", server.url), {
        method,
        headers,
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new TidemarkError("connection-failed", `${server.url} cannot be reached`, { cause });
    }
    if (answer.ok) return answer.json();
    const problem = (await answer.json().catch(() => ({}))) as { readonly code?: string; readonly detail?: string };
    throw new TidemarkError(
      asErrorCode(problem.code ?? "") ?? "protocol-error",
      problem.detail ?? `${server.url} answered ${answer.status}`,
    );
  };
  const { bytes: before } = (await ask("GET")) as Verified;
  const { pass } = (await ask("POST")) as { readonly pass: number };
  const seen = new Map<string, NodeFinding>();
  for (let readAt: number | undefined; ;) {
    const { passes, bytes, damage } = (await ask("GET")) as Verified;
    for (const one of damage) seen.set(one.message, one);
    onProgress(bytes - before);
    if (passes >= pass) readAt ??= performance.now();
    const isOver = readAt !== undefined && (damage.length === 0 || performance.now() - readAt > MEND_MS_MAX);
    if (isOver) {
      for (const { message } of damage) seen.delete(message);
      return { bytes: bytes - before, damage, mended: [...seen.values()] };
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
