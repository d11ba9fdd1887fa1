/**
 * What an operator does with a cluster of servers as processes, beyond the day's work (`cluster.test.ts`): takes nodes out of it for
 * a while or for good, uses what a newer version brings, begins anew with what one node has.
 */
import { rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import { FEATURE_LEVEL_NEWEST } from "../../log-server/streams/feature-level.ts";
import { temporaryFolder } from "./folders.ts";
import { create, readMessages, send } from "./http.ts";
import { eventsIn, Server } from "./server.ts";
import { appended, cli, Cluster, NAMES, others, STREAM, upTo, type View } from "./server-cluster.ts";

/** What it says where it does not do it. */
async function refusal(...args: readonly string[]): Promise<string> {
  return await cli(args).then(
    (stdout) => `done: ${stdout}`,
    (error: { readonly stderr: string }) => error.stderr,
  );
}

describe("maintenance", () => {
  it("drains a node of its leadership and its readers, and upgrades all that run the version; who is removed serves no more", async () => {
    const cluster = await Cluster.started();
    const leader = await cluster.leader();
    const [other, gone] = others(leader) as [string, string];
    const urls = [leader, ...others(leader)].map((name) => cluster.server(name).url);
    expect((await create(cluster.server(leader).url, STREAM)).status).toBe(201);
    await appended(cluster.server(leader).url, 0);

    // A command that follows live, at the node that is drained: it goes on at another, with each record once.
    const client = connect(urls.map((url) => url.replace("http", "ws")));
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const record of client.stream(STREAM).subscribe()) {
        seen.push(record.json());
        if (seen.length === 3) return;
      }
    })();
    await appended(cluster.server(leader).url, 1);
    await cli(["cluster", "drain", leader, "--url", cluster.server(other).url]);
    await cluster.leader(others(leader));
    expect((await send(`${cluster.server(leader).url}/readyz`, { method: "GET" })).status).toBe(503);
    expect((await send(`${cluster.server(leader).url}/v1/ws`, { method: "GET" })).status).toBe(503);
    await appended(cluster.server(leader).url, 2);
    await reading;
    await client.close();
    expect(seen).toEqual(upTo(3));
    await cli(["cluster", "drain", leader, "--undo", "--url", cluster.server(leader).url]);
    expect((await send(`${cluster.server(leader).url}/readyz`, { method: "GET" })).status).toBe(200);

    // Asked while one has only just come up, it waits until that has said what it supports.
    await cluster.server(other).stop();
    await cluster.spawn(other).ready();
    await cli(["cluster", "upgrade", "--url", cluster.server(leader).url]);
    const view = JSON.parse(await cli(["cluster", "status", "--url", cluster.server(other).url, "-o", "json"])) as {
      readonly featureLevel: number;
    };
    expect(view.featureLevel).toBe(FEATURE_LEVEL_NEWEST);

    // Asked of the one that is to go, unless that leads.
    if ((await cluster.leader()) === gone) await cli(["cluster", "transfer", other, "--url", cluster.server(gone).url]);
    await cli(["cluster", "remove", gone, "--url", cluster.server(gone).url]);
    await cluster.server(gone).logged("removed");
    await cluster.server(gone).stop();
    const again = cluster.spawn(gone);
    await again.logged("removed");
    const answer = await send(`http://${cluster.listenOf(gone)}/v1/stream/${STREAM}`, { method: "GET" });
    expect(answer.status).toBe(503);
    expect(JSON.parse(Buffer.from(answer.body).toString())).toMatchObject({ code: "node-removed" });
    expect(await readMessages(cluster.server(other).url, STREAM)).toEqual(upTo(3));
  });
});

describe("a lost majority", () => {
  it("is begun anew by one that is left, as another cluster, and the others come back with nothing", async () => {
    const cluster = await Cluster.started();
    const left = await cluster.leader();
    const [gone, lost] = others(left) as [string, string];
    const data = cluster.dataOf(left);
    expect((await create(cluster.server(left).url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 20; sequence += 1) await appended(cluster.server(left).url, sequence);
    expect(await refusal("cluster", "recover", "--data", data, "--yes")).toContain("is in use by process");

    for (const name of NAMES) await cluster.server(name).kill();
    rmSync(cluster.dataOf(lost), { recursive: true });
    // Who is only asked whether to go on, and does not answer, has done nothing.
    expect(await refusal("cluster", "recover", "--data", data)).toContain("nothing was done");
    const said = await cli(["cluster", "recover", "--data", data, "--yes"]);
    expect(said).toMatch(/last entry +position \d+, of term \d+/);
    expect(said).toContain(`with ${gone}, ${lost}`);
    expect(said).toContain(`${left} is now the only voter`);

    const alone = cluster.spawn(left);
    await alone.ready();
    expect(await readMessages(alone.url, STREAM)).toEqual(upTo(20));
    await appended(alone.url, 20);

    // One that is of the old cluster still is not let in, though its name and address are known.
    await cli(["cluster", "add", `${gone}=${cluster.addressOf(gone)}`, "--url", alone.url]);
    const old = cluster.spawn(gone);
    await old.logged("peer-refused");
    expect(eventsIn(old.stderr).find(({ event }) => event === "peer-refused")).toMatchObject({ code: "wrong-cluster" });
    await old.kill();
    rmSync(cluster.dataOf(gone), { recursive: true });
    await cluster.spawn(gone).ready();
    await cli(["cluster", "add", `${lost}=${cluster.addressOf(lost)}`, "--url", alone.url]);
    await cluster.spawn(lost).ready();
    const view = JSON.parse(await cli(["cluster", "wait", "--url", alone.url, "-o", "json"])) as View;
    expect(view.members.map(({ node, role }) => [node, role])).toEqual(NAMES.map((name) => [name, "voter"]));

    // They stand in for the one that had it all.
    await alone.kill();
    const second = await cluster.leader([gone, lost]);
    await appended(cluster.server(second).url, 21);
    expect(await readMessages(cluster.server(second).url, STREAM)).toEqual(upTo(22));
    await cluster.spawn(left).ready();
    expect(await readMessages(cluster.server(left).url, STREAM)).toEqual(upTo(22));
  });

  it("is none of a node that is alone, or of a folder that is none", async () => {
    const folder = temporaryFolder();
    expect(await refusal("cluster", "recover", "--data", folder, "--yes")).toContain("is no data folder");
    const alone = await Server.start(folder);
    await alone.stop();
    expect(await refusal("cluster", "recover", "--data", folder, "--yes")).toContain("this node is alone");
  });
});
