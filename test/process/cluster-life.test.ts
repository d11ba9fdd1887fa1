/**
 * What an operator does with a cluster of servers as processes, beyond the day's work (`cluster.test.ts`): begins anew with what
 * one of them has.
 */
import { rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./folders.ts";
import { create, readMessages } from "./http.ts";
import { eventsIn, Server } from "./server.ts";
import { appended, cli, Cluster, NAMES, others, STREAM, upTo, type View } from "./server-cluster.ts";

/** What it says where it does not do it. */
async function refusal(...args: readonly string[]): Promise<string> {
  return await cli(args).then(
    (stdout) => `done: ${stdout}`,
    (error: { readonly stderr: string }) => error.stderr,
  );
}

describe("a lost majority", () => {
  it("is begun anew by one that is left, as another cluster, and the others come back with nothing", async () => {
    const cluster = await Cluster.started();
    const left = await cluster.leader();
    const [gone, lost] = others(left) as [string, string];
    const data = cluster.dataOf(left);
    expect((await create(cluster.server(left).url, STREAM)).status).toBe(201);
    for (let sequence = 0; sequence < 20; sequence += 1) await appended(cluster.server(left).url, sequence);
    expect(await refusal("cluster", "recover", "--data", data, "--yes")).toContain("is in use by another server");

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
