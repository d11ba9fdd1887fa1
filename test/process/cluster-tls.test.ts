/** A cluster whose nodes trust only certificates of its own authority (N10), as processes. */
import net from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../source-tree.ts";
import { create, readMessages } from "./http.ts";
import { appended, Cluster, NAMES, others, STREAM, upTo } from "./server-cluster.ts";

const FOLDER = join(ROOT, "test/peer/certificates");

function tlsOf(certificate: string): string[] {
  const file = (name: string): string => join(FOLDER, name);
  return [
    ...["--peer-tls-ca", file("ca.crt")],
    ...["--peer-tls-cert", file(`${certificate}.crt`), "--peer-tls-key", file(`${certificate}.key`)],
  ];
}

/** What a stranger gets who speaks in the clear, until it is hung up on. */
async function answerTo(address: string, text: string): Promise<string> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = net.connect({ host: hostname, port: Number(port) });
  let heard = "";
  socket.on("data", (bytes: Buffer) => {
    heard += bytes.toString("latin1");
  });
  socket.write(text);
  await new Promise((resolve) => {
    socket.on("error", resolve).on("close", resolve);
  });
  return heard;
}

describe("mutual TLS between nodes", () => {
  it("carries all that a cluster does, and lets in nobody without a certificate of its authority", async () => {
    let certificateOf = (name: string): string => name;
    const cluster = await Cluster.started({}, (name) => tlsOf(certificateOf(name)));
    const first = await cluster.leader();
    expect((await create(cluster.server(first).url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 10; sequence += 1) await appended(cluster.server(first).url, sequence);

    expect(await answerTo(cluster.addressOf(first), "TMPR, in the clear")).not.toContain("TMPR");
    await cluster.server(first).logged("peer-refused", "tls-failed");

    // One comes back with a certificate of somebody else: it is not let in, and who refuses it says why.
    const [lost] = others(first) as [string, string];
    await cluster.server(lost).stop();
    certificateOf = (name) => (name === lost ? "stranger" : name);
    const stranger = cluster.spawn(lost);
    const refused = await cluster.server(first).logged("peer-refused", "certificate-refused");
    expect(refused).toMatchObject({ by: "us", detail: expect.stringMatching(/verify|certificate|CERT|SIGNATURE/) });
    await appended(cluster.server(first).url, 10);
    expect(stranger.url).toBe("");
    await stranger.kill();

    // With its own again it catches up, and stands in for the leader.
    certificateOf = (name) => name;
    await cluster.spawn(lost).ready();
    await cluster.server(first).kill();
    const second = await cluster.leader(NAMES.filter((name) => name !== first));
    await appended(cluster.server(second).url, 11);
    expect(await readMessages(cluster.server(lost).url, STREAM)).toEqual(upTo(12));
  });
});
