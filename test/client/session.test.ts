/** What a client asks of its reads: by default that they are never from before what it has seen, or what it was told to ask. */
import { describe, expect, it } from "vitest";
import { connect, type ConnectOptions } from "../../client/index.ts";
import { Session } from "../../client/transport/session.ts";

describe("what reads may be answered from", () => {
  it.each<[string, ConnectOptions, string]>([
    ["the session", {}, "session"],
    ["everything decided", { consistency: "linearizable" }, "linearizable"],
    ["what the node has", { consistency: "eventual" }, "eventual"],
  ])("is %s, and is said with each request", async (_what, options, expected) => {
    const asked: (string | null)[] = [];
    const refuse: typeof fetch = async (_url, init) => {
      asked.push(new Headers(init?.headers).get("tidemark-consistency"));
      return new Response(JSON.stringify({ code: "unauthorized" }), { status: 401 });
    };
    await using client = connect("http://node:1", { ...options, fetch: refuse });
    await expect(client.stream("s").describe()).rejects.toThrow();
    expect(asked).toEqual([expected]);
  });
});

describe("a session", () => {
  it("shows the furthest it has seen, of the cluster that it began with", () => {
    const session = new Session();
    expect(session.token).toBeUndefined();
    session.note("c.0.7");
    session.note("c.0.5");
    session.note("other.0.99");
    session.note("nonsense");
    session.note(null);
    expect(session.token).toBe("c.0.7");
    session.advance(9);
    session.advance(3);
    expect(session.token).toBe("c.0.9");
  });
});
