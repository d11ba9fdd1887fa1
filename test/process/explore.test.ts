/** scratch */
import { it, expect } from "vitest";
import { Server, temporaryFolder, complaintsIn } from "./server.ts";
import * as http from "./http.ts";
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const LIM = process.env.SMALL ? { imageEveryBytes: 200_000, snapshotEveryBytes: 1_000_000, housekeepingEveryMs: 100 } : {};
for (const when of (process.env.N ?? "1,2,5,9,12,15,20,30,40,60").split(",").map(Number)) it("eio " + when, async () => {
  const data = temporaryFolder();
  { const s = await Server.start(data, { args: ["--segment-bytes", "1MiB"] }); await http.create(s.url, "s"); await s.stop(); }
  const call = process.env.CALL ?? "fdatasync";
  const wrapper = ["strace", "-D", "-f", "-qq", "-o", "/tmp/strace.out", "-e", `trace=${call}`, "-e", `inject=${call}:error=EIO:when=${when}`];
  const s = Server.spawn(data, { args: ["--segment-bytes", "1MiB"], limits: LIM, wrapper, env: { UV_THREADPOOL_SIZE: "1" } });
  let acked: number[] = [];
  let n = 0;
  try {
    await s.ready();
    let fails = 0;
    while (fails < 3 && n < 400) {
      const values = Array.from({ length: 4 }, () => n++);
      const pad = "x".repeat(8000);
      const answers = await Promise.all(values.map((v) => http.append(s.url, "s", { body: JSON.stringify({ v, pad }) }).catch(String)));
      answers.forEach((a, i) => { if (typeof a !== "string" && a.status === 204) acked.push(values[i]!); else { fails++; if (fails < 2) console.log(typeof a === "string" ? a : http.describe(a)); } });
    }
  } catch (e) { console.log("start:", String(e).slice(0, 1500)); }
  const e = n >= 400 ? await s.stop() : await s.ended();
  console.log("when", when, "acked", acked.length, "exit", e.code, e.signal, complaintsIn(e.stderr), e.stderr.split("\n").filter((l) => !/"info"/.test(l)).join("\n").slice(0, 1500));
  const r = await Server.start(data);
  const got = (await http.readMessages(r.url, "s")) as { v: number }[];
  const set = new Set(got.map((g) => g.v));
  expect(set.size).toBe(got.length);
  for (const v of acked) expect(set.has(v), String(v)).toBe(true);
  await r.stop();
});
