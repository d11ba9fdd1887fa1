/** `client.cluster()`: what it asks of which node, and what errors say. That changes are made is for real processes. */
import { describe, expect, it } from "vitest";
import { connect, type Cluster } from "../../client/index.ts";

type Asked = { readonly url: string; readonly method: string; readonly body: unknown; readonly token: string | null };

/** `answer`: of each request, in order; an error is a connection that does not come about. */
function clusterWith(answers: readonly (Response | Error)[]): { readonly cluster: Cluster; readonly asked: Asked[] } {
  const asked: Asked[] = [];
  const rest = [...answers];
  const client = connect(["ws://a:1/base", "ws://b:2"], {
    token: "a-token-long-enough",
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers);
      asked.push({
        url: input as string,
        method: init?.method ?? "",
        body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined,
        token: headers.get("authorization"),
      });
      const answer = rest.shift();
      if (answer instanceof Response) return answer;
      throw answer ?? new Error("nothing more was to be asked");
    },
  });
  return { cluster: client.cluster(), asked };
}

function done(): Response {
  return new Response(null, { status: 204 });
}

function problem(status: number, code: string): Response {
  const body = JSON.stringify({ code, detail: "why" });
  return new Response(body, { status, headers: { "content-type": "application/problem+json" } });
}

describe("a client's cluster", () => {
  it("is asked over HTTP, also where the rest goes over a WebSocket", async () => {
    const status = { cluster: "c", node: "n1", term: 1, committed: 2, applied: 2, changing: false, members: [] };
    const { cluster, asked } = clusterWith([
      Response.json(status),
      done(),
      done(),
      done(),
      done(),
      done(),
      done(),
      done(),
      done(),
    ]);
    expect(await cluster.status()).toEqual(status);
    await cluster.add("n4", { host: "h", port: 1 }, { votes: false });
    await cluster.remove("n4");
    await cluster.replace("n2");
    await cluster.replace("n2", { address: { host: "h", port: 2 } });
    await cluster.transfer("n3");
    await cluster.drain("n3");
    await cluster.drain("n3", { undo: true });
    await cluster.upgrade();
    expect(asked.map(({ url, method, body }) => [method, url, body])).toEqual([
      ["GET", "http://a:1/base/v1/cluster", undefined],
      ["POST", "http://a:1/base/v1/cluster/members", { node: "n4", host: "h", port: 1, votes: false }],
      ["DELETE", "http://a:1/base/v1/cluster/members/n4", undefined],
      ["POST", "http://a:1/base/v1/cluster/members/n2/replace", {}],
      ["POST", "http://a:1/base/v1/cluster/members/n2/replace", { host: "h", port: 2 }],
      ["POST", "http://a:1/base/v1/cluster/transfer", { to: "n3" }],
      ["POST", "http://a:1/base/v1/cluster/members/n3/drain", undefined],
      ["DELETE", "http://a:1/base/v1/cluster/members/n3/drain", undefined],
      ["POST", "http://a:1/base/v1/cluster/upgrade", undefined],
    ]);
    expect(new Set(asked.map(({ token }) => token))).toEqual(new Set(["Bearer a-token-long-enough"]));
  });

  it("is asked at the next node where one cannot be reached", async () => {
    const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED", syscall: "connect" });
    const { cluster, asked } = clusterWith([new TypeError("fetch failed", { cause: refused }), done()]);
    await cluster.transfer();
    expect(asked.map(({ url }) => new URL(url).host)).toEqual(["a:1", "b:2"]);
  });

  it("is asked at the next node where one was removed from the cluster", async () => {
    const { cluster, asked } = clusterWith([problem(503, "node-removed"), done()]);
    await cluster.upgrade();
    expect(asked.map(({ url }) => new URL(url).host)).toEqual(["a:1", "b:2"]);
  });

  it("is asked again while nobody leads, as long as the call may take", async () => {
    const { cluster, asked } = clusterWith([
      problem(503, "not-leader"),
      problem(503, "unavailable"),
      problem(503, "unavailable"),
      done(),
    ]);
    await cluster.replace("n2");
    expect(asked.map(({ method, url }) => [method, new URL(url).host])).toEqual([
      ["POST", "a:1"],
      ["POST", "a:1"],
      ["POST", "b:2"],
      ["POST", "a:1"],
    ]);
    const leaderless = clusterWith(Array.from({ length: 100 }, () => problem(503, "not-leader")));
    const late = leaderless.cluster.remove("n2", { timeout: 200 });
    await expect(late).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining("why") });
  });

  it("says what the cluster has against a change, and what nobody knows", async () => {
    const lost = new TypeError("fetch failed", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) });
    const { cluster } = clusterWith([problem(409, "cluster-conflict"), problem(404, "member-not-found"), lost]);
    await expect(cluster.remove("n1")).rejects.toMatchObject({ code: "cluster-conflict", outcome: "not-applied" });
    await expect(cluster.remove("n9")).rejects.toMatchObject({ code: "member-not-found", retryable: false });
    await expect(cluster.remove("n2")).rejects.toMatchObject({ code: "connection-lost", outcome: "unknown" });
    const given = AbortSignal.abort();
    await expect(cluster.remove("n2", { signal: given })).rejects.toMatchObject({ code: "aborted" });
  });
});
