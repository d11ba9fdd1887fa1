/** Peers over real sockets: who talks to whom, what each side is told, and what hostile bytes cost. */
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { beginFrame, encodeFrame, FRAME_HEADER_LENGTH, sealFrame } from "../../log-server/peer/frame.ts";
import { encodeHello, type Hello } from "../../log-server/peer/hello.ts";
import { NO_RULES } from "../../log-server/peer/judge-hello.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { connectAll, QUICK, TestPeer } from "./test-peers.ts";

const opened: TestPeer[] = [];
const sockets: net.Socket[] = [];

function peer(...parts: ConstructorParameters<typeof TestPeer>): TestPeer {
  const made = new TestPeer(...parts);
  opened.push(made);
  return made;
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(opened.splice(0).map(({ peers }) => peers.close()));
});

/** A bare socket to a node, what it got, and its end. */
async function stranger(to: TestPeer): Promise<{ socket: net.Socket; closed: Promise<Buffer> }> {
  const socket = net.connect({ host: "127.0.0.1", port: to.address?.port ?? 0 });
  sockets.push(socket);
  const got: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => got.push(bytes));
  socket.on("error", () => undefined);
  const closed = new Promise<Buffer>((resolve) => socket.on("close", () => resolve(Buffer.concat(got))));
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return { socket, closed };
}

function hello(changes: Partial<Hello>): Uint8Array {
  return encodeHello({
    versionOldest: 1,
    versionNewest: 1,
    node: "n2",
    to: "n1",
    disk: "disk-n2",
    cluster: "c1",
    life: "x",
    featureLevel: 1,
    logs: [0],
    ...changes,
  });
}

describe("connections", () => {
  it("N6: both dial, one connection of the pair is left, and both keep the same", async () => {
    for (let round = 0; round < 10; round += 1) {
      const [one, two] = [peer({ node: "n1" }), peer({ node: "n2" })];
      await connectAll(one, two);
      // What is sent over a connection that is given up may be lost, so each is asked until both answer.
      for (let ask = 0; one.heard.messages.length === 0 || two.heard.messages.length === 0; ask += 1) {
        one.peers.send("n2", "control", [utf8(`${ask}`)]);
        two.peers.send("n1", "control", [utf8(`${ask}`)]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all([one, two].map(({ peers }) => peers.close()));
      // Two that kept different ones would have closed both, and dialled again, for ever.
      expect(one.status("n2").connections).toBeLessThanOrEqual(2);
      expect(two.status("n1").connections).toBeLessThanOrEqual(2);
    }
  });

  it("N7: a peer that starts again is found again, and its earlier life is over", async () => {
    const one = peer({ node: "n1" });
    const two = peer({ node: "n2" });
    await connectAll(one, two);
    const { port = 0 } = two.address ?? {};
    await two.peers.close();
    await one.heard.until(() => !one.heard.reaches("n2"));
    const again = peer({ node: "n2" });
    again.address = await again.peers.open("127.0.0.1", port);
    again.peers.know([one.as(), again.as()]);
    await one.heard.until(() => one.heard.reaches("n2"));
    await again.heard.until(() => again.heard.reaches("n1"));
    expect(one.status("n2").connected).toBe(true);
  });

  it("measures round trips and counts", async () => {
    const [one, two] = [peer({ node: "n1" }), peer({ node: "n2" })];
    await connectAll(one, two);
    while (one.status("n2").rttMs === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    const status = one.status("n2");
    expect(status.rttMs).toBeGreaterThanOrEqual(0);
    expect(status.bytesIn).toBeGreaterThan(0);
    expect(status.bytesOut).toBeGreaterThan(0);
    expect(status.featureLevel).toBe(1);
  });

  it("closes who is no longer a member", async () => {
    const [one, two] = [peer({ node: "n1" }), peer({ node: "n2" })];
    await connectAll(one, two);
    one.peers.know([one.as()]);
    await two.heard.until(() => !two.heard.reaches("n1"));
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "them", code: "unknown-node" });
  });

  it("sends who is no longer a member what it is owed, and hears it out (N52)", async () => {
    // Only one dials, lest they have two connections at first.
    const one = await peer({ node: "n1" }).open();
    const two = await peer({ node: "n2" }).open();
    one.peers.know([two.as({ port: 1 })]);
    two.peers.know([one.as()]);
    await Promise.all([one.heard.until(() => one.heard.reaches("n2")), two.heard.until(() => two.heard.reaches("n1"))]);
    one.peers.know([one.as()]);
    expect(one.peers.send("n2", "requests", [utf8("done")])).toBe(true);
    expect(two.peers.send("n1", "requests", [utf8("thanks")])).toBe(true);
    await two.heard.until(() => two.heard.texts("requests").includes("done"));
    await one.heard.until(() => one.heard.texts("requests").includes("thanks"));
    await two.heard.until(() => !two.heard.reaches("n1"));
    expect(one.peers.send("n2", "requests", [utf8("late")])).toBe(false);
    // It may come again at any time.
    one.peers.know([one.as(), two.as()]);
    await two.heard.until(() => two.heard.reaches("n1"));
  });

  it("drops what is for nobody, and says so", async () => {
    const one = await peer({ node: "n1" }).open();
    one.peers.know([one.as(), { node: "n2", host: "127.0.0.1", port: 1, disk: undefined }]);
    expect(one.peers.send("n2", "entries", [utf8("x")])).toBe(false);
    expect(one.peers.send("n9", "entries", [utf8("x")])).toBe(false);
    expect(one.status("n2").dropped).toBe(1);
  });
});

describe("N4: refusals are told to both, once", () => {
  it.each([
    ["wrong-cluster", { cluster: "c2" }, {}],
    ["disk-changed", { disk: "wiped" }, { disk: "disk-n2" }],
    ["no-shared-log", { logs: [7] }, {}],
  ] as const)("%s", async (code, self, known) => {
    const one = await peer({ node: "n1" }).open();
    const two = await peer({ node: "n2", ...self }).open();
    // Only one dials, so that who refuses is known.
    one.peers.know([two.as({ ...known, port: 1 })]);
    two.peers.know([one.as()]);
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "them", code });
    // It is dialled again and again: nothing more is said about it.
    const before = two.status("n1").bytesOut;
    while (two.status("n1").bytesOut < before + 400) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(two.refusals).toHaveLength(1);
    expect(one.refusals).toHaveLength(1);
    expect(one.refusals[0]).toMatchObject({ by: "us", code });
    expect(two.status("n1").refused).toBe(code);
  });

  it.each([
    ["removed", { isFormerDisk: (disk: string) => disk === "disk-n2" }, undefined],
    ["removed", { isFormerDisk: (disk: string) => disk === "disk-n2" }, "another"],
    // Who turns nobody away for another disk, for it hears no leader, still does for a former one (P33).
    ["removed", { isFormerDisk: (disk: string) => disk === "disk-n2" }, "any"],
    ["feature-level", { featureLevel: 2 }, "disk-n2"],
  ] as const)("%s, by what the cluster has decided (N52, N53)", async (code, rules, disk) => {
    const one = await peer({ node: "n1" }).open();
    const two = await peer({ node: "n2" }).open();
    const known = two.as({ disk: disk === "any" ? undefined : disk, port: 1 });
    one.peers.know(disk === undefined ? [one.as()] : [known], { ...NO_RULES, ...rules });
    two.peers.know([one.as()]);
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "them", code });
    expect(two.peers.removed).toBe(code === "removed");
    if (code !== "removed") return;
    // It asks seldom from then on, and is taken in as soon as there is nothing against it any more.
    const { dials } = two.status("n1");
    one.peers.know([two.as({ disk: "disk-n2" })]);
    await two.heard.until(() => two.heard.reaches("n1"));
    expect(two.peers.removed).toBe(false);
    expect(two.status("n1").dials).toBe(dials);
  });

  it.each([
    ["disk-changed", { disk: "another" }, NO_RULES],
    ["removed", {}, { ...NO_RULES, isFormerDisk: (disk: string) => disk === "disk-n2" }],
  ] as const)("%s, of whom was welcome until then (N52, P33)", async (code, known, rules) => {
    const [one, two] = [peer({ node: "n1" }), peer({ node: "n2" })];
    await connectAll(one, two);
    one.peers.know([two.as({ ...known, port: 1 })], rules);
    await two.heard.until(() => two.refusals.length > 0);
    expect(two.refusals[0]).toMatchObject({ peer: "n1", by: "them", code });
    expect(one.status("n2").connected).toBe(false);
  });

  it("an unknown node, and one that took another's address", async () => {
    const one = await peer({ node: "n1" }).open();
    const two = await peer({ node: "n2" }).open();
    const three = await peer({ node: "n3" }).open();
    two.peers.know([one.as()]);
    three.peers.know([two.as({ node: "n1" })]);
    await Promise.all([two, three].map((each) => each.heard.until(() => each.refusals.length > 0)));
    const theirs = (each: TestPeer): unknown => each.refusals.find(({ by }) => by === "them");
    await two.heard.until(() => theirs(two) !== undefined);
    expect(theirs(two)).toMatchObject({ code: "unknown-node" });
    expect(three.refusals[0]).toMatchObject({ by: "them", code: "wrong-node" });
  });

  it("versions that do not meet", async () => {
    const one = await peer({ node: "n1" }).open();
    one.peers.know([{ node: "n2", host: "127.0.0.1", port: 1, disk: undefined }]);
    const { socket, closed } = await stranger(one);
    socket.write(encodeFrame("hello", hello({ versionOldest: 2, versionNewest: 3 })));
    expect((await closed).toString("latin1")).toContain("unsupported-version");
    expect(one.refusals).toHaveLength(1);
  });

  it("empty nodes meet, so that they can found a cluster", async () => {
    const [one, two] = [peer({ node: "n1", cluster: "" }), peer({ node: "n2", cluster: "" })];
    await connectAll(one, two);
    expect(one.status("n2").connected).toBe(true);
  });
});

describe("hostile bytes (I15)", () => {
  async function alone(limits = QUICK): Promise<TestPeer> {
    const one = await peer({ node: "n1" }, { limits }).open();
    one.peers.know([{ node: "n2", host: "127.0.0.1", port: 1, disk: undefined }]);
    return one;
  }

  /** One that has agreed with a node. */
  async function agreed(one: TestPeer): ReturnType<typeof stranger> {
    const made = await stranger(one);
    made.socket.write(encodeFrame("hello", hello({})));
    await new Promise<void>((resolve) => made.socket.once("data", () => resolve()));
    made.socket.write(encodeFrame("welcome", new Uint8Array(0)));
    return made;
  }

  it("N2: a frame that claims 4 GiB is closed at its header", async () => {
    const { socket, closed } = await stranger(await alone());
    const header = encodeFrame("hello", hello({})).subarray(0, FRAME_HEADER_LENGTH);
    header.writeUInt32LE(0xffff_ffff, 8);
    socket.write(header);
    expect(await closed).toHaveLength(0);
  });

  it.each([
    ["garbage", Buffer.from("GET / HTTP/1.1\r\nHost: example\r\n\r\n")],
    ["a damaged hello", damaged(encodeFrame("hello", hello({})))],
    ["a message before the hello", encodeFrame("entries", utf8("x"))],
    ["a hello that is none", encodeFrame("hello", utf8("hello"))],
  ])("closes %s", async (_what, bytes) => {
    const one = await alone();
    const { socket, closed } = await stranger(one);
    socket.write(bytes);
    await closed;
    expect(one.heard.messages).toEqual([]);
  });

  it("N5: a handshake that trickles in is cut off", async () => {
    const { socket, closed } = await stranger(await alone({ ...QUICK, handshakeMs: 100, closeGraceMs: 10 }));
    const bytes = encodeFrame("hello", hello({}));
    let place = 0;
    const timer = setInterval(() => {
      // Its last byte never comes.
      if (place < bytes.length - 1) socket.write(bytes.subarray(place, (place += 1)));
    }, 5);
    await closed;
    clearInterval(timer);
  });

  it("N5: strangers beyond the bound are closed at once", async () => {
    const one = await alone({ ...QUICK, strangersMax: 2, handshakeMs: 30_000 });
    const [first, second, third] = [await stranger(one), await stranger(one), await stranger(one)];
    await third.closed;
    expect([first, second].map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  });

  it("N8: a peer that answers no ping is gone, though its system still takes what is sent", async () => {
    const one = await alone({ ...QUICK, silenceMs: 60 });
    const { closed } = await agreed(one);
    await one.heard.until(() => one.heard.reaches("n2"));
    await one.heard.until(() => !one.heard.reaches("n2"));
    await closed;
    expect(one.disconnects[0]).toContain("no ping was answered");
  });

  it("N1: what proves itself is handed on damaged, by a connection that goes on; of what does not, nothing is", async () => {
    const one = await alone();
    const { socket, closed } = await agreed(one);
    const frame = beginFrame("entries", { length: 2, proven: 1 }, false, 2);
    frame.set(utf8("hb"), FRAME_HEADER_LENGTH);
    sealFrame(frame, []);
    socket.write(damaged(frame));
    socket.write(frame);
    await one.heard.until(() => one.heard.messages.length === 2);
    expect(one.heard.texts("entries")).toEqual(["hc", "hb"]);
    const control = beginFrame("control", { length: 1, proven: 1 }, false, 1);
    control.set(utf8("x"), FRAME_HEADER_LENGTH);
    sealFrame(control, []);
    socket.write(control);
    await closed;
    expect(one.disconnects[0]).toContain("not-a-frame");
    expect(one.heard.messages).toHaveLength(2);
  });

  it("a message that never ends is cut off at its lane's bound", async () => {
    const one = await alone();
    const { socket, closed } = await agreed(one);
    const part = encodeFrame("control", new Uint8Array(16 * 1024));
    // "more", with its hash made anew.
    part[17] = 1;
    sealFrame(part, []);
    for (let count = 0; count < 5; count += 1) socket.write(part);
    await closed;
    expect(one.disconnects[0]).toContain("too long");
    expect(one.heard.messages).toEqual([]);
  });
});

function damaged(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  copy[copy.length - 1] = (copy[copy.length - 1] as number) ^ 1;
  return copy;
}
