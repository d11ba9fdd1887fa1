/** N10: mutual TLS. Both ends show a certificate of the cluster's authority, which must be for the node that shows it. */
import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { PeerTls } from "../../log-server/peer/tls.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { connectAll, QUICK, TestPeer } from "./test-peers.ts";

const FOLDER = join(import.meta.dirname, "certificates");

function tls(name: string, ca = "ca"): PeerTls {
  const pem = (file: string): string => readFileSync(join(FOLDER, file), "utf8");
  return { ca: pem(`${ca}.crt`), cert: pem(`${name}.crt`), key: pem(`${name}.key`) };
}

const opened: TestPeer[] = [];

function peer(node: string, parts: ConstructorParameters<typeof TestPeer>[1]): TestPeer {
  const made = new TestPeer({ node }, parts);
  opened.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ peers }) => peers.close()));
});

describe("mutual TLS", () => {
  it("carries messages between members", async () => {
    const [one, two] = [peer("n1", { tls: tls("n1") }), peer("n2", { tls: tls("n2") })];
    await connectAll(one, two);
    const text = "x".repeat(200_000);
    while (two.heard.messages.length === 0) {
      one.peers.send("n2", "entries", [utf8(text)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(two.heard.texts("entries")[0]).toBe(text);
  });

  it("refuses a member's name with another member's certificate", async () => {
    const one = await peer("n1", { tls: tls("n1") }).open();
    const two = await peer("n2", { tls: tls("n1") }).open();
    one.peers.know([two.as({ port: 1 })]);
    two.peers.know([one.as()]);
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "them", code: "certificate-mismatch" });
    expect(one.refusals[0]).toMatchObject({ peer: "n2", by: "us", code: "certificate-mismatch" });
  });

  it("the dialler, too, looks at whom it got", async () => {
    const one = await peer("n1", { tls: tls("n2") }).open();
    const two = await peer("n2", { tls: tls("n2") }).open();
    one.peers.know([two.as({ port: 1 })]);
    two.peers.know([one.as()]);
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "us", code: "certificate-mismatch" });
  });

  it.each([
    [
      "a certificate of another authority",
      tls("stranger"),
      ["n1: n2 certificate-refused", "n1: undefined certificate-refused"],
    ],
    [
      "another authority than ours",
      tls("n2", "other-ca"),
      ["n2: n1 certificate-refused", "n2: undefined certificate-refused"],
    ],
  ])("never agrees with %s", async (_what, theirs, says) => {
    const one = await peer("n1", { tls: tls("n1") }).open();
    const two = await peer("n2", { tls: theirs }).open();
    one.peers.know([two.as()]);
    two.peers.know([one.as()]);
    // Each has tried several times, and a try is over before the next begins.
    while (Math.min(one.status("n2").dials, two.status("n1").dials) < 4) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([one.connects, two.connects]).toEqual([[], []]);
    expect(one.heard.events).toEqual([]);
    // Who refuses says so, of whom it calls and of who calls; once, not at each try.
    const told = [one, two].flatMap(({ node, refusals }) =>
      refusals.map((each) => `${node}: ${each.peer} ${each.code}`),
    );
    expect(told.sort()).toEqual(says);
  });

  it("goes by other certificates from when it is told of them, and lets nobody go for that", async () => {
    const [one, two] = [peer("n1", { tls: tls("n1") }), peer("n2", { tls: tls("n2") })];
    await connectAll(one, two);
    // Its own certificate has run out, so to say: nobody new takes it for n1.
    one.peers.renewTls(tls("stranger"));
    const three = await peer("n3", { tls: tls("n3") }).open();
    for (const each of [one, two, three]) each.peers.know([one.as(), two.as(), three.as()]);
    await three.heard.until(() => three.refusals.some(({ peer: refused }) => refused === "n1"));
    expect(one.connects).toEqual(["n2"]);
    one.peers.renewTls(tls("n1"));
    await three.heard.until(() => three.heard.reaches("n1"));
    await one.heard.until(() => one.heard.reaches("n3"));
    expect(one.disconnects).toEqual([]);
    expect(two.disconnects).toEqual([]);
  });

  it("closes who does not speak TLS", async () => {
    const one = await peer("n1", { tls: tls("n1"), limits: { ...QUICK, handshakeMs: 100 } }).open();
    const closed = [Buffer.from("TMPR in the clear, or so it seems"), Buffer.alloc(0)].map(
      (bytes) =>
        new Promise<void>((resolve) => {
          const socket = net.connect({ host: "127.0.0.1", port: one.address?.port ?? 0 });
          socket.on("error", () => undefined);
          socket.on("close", () => resolve());
          socket.write(bytes);
        }),
    );
    await Promise.all(closed);
    expect(one.connects).toEqual([]);
  });
});
