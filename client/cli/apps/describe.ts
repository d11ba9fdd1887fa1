/** `tidemark apps describe`: a topology, as text or as a flowchart. It needs no server. */
import { Option } from "commander";
import type { Stage } from "../../../src/operators/engine/graph.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { loadApp } from "./app-module.ts";

type DescribeOptions = { readonly output: "text" | "mermaid" | "json" };

export const describeCommand: Verb = (io, onDone) =>
  newVerb(
    "describe",
    "check a topology, and show what it is made of; nothing runs",
    "tidemark apps describe app.ts",
    "tidemark apps describe app.ts -o mermaid",
  )
    .argument("<file>", "a module whose default export is a topology")
    .addOption(new Option("-o, --output <format>", "how to print").choices(["text", "mermaid", "json"]).default("text"))
    .action(async (file: string, { output }: DescribeOptions) => {
      const app = await loadApp(file, io.interrupted);
      if (output !== "json") await write(io.stdout, `${app.describe(output)}\n`);
      else {
        const { app: name, version, stages } = app.build();
        await write(io.stdout, jsonLine({ app: name, version, stages: stages.map(stageJson) }));
      }
      onDone(EXIT.ok);
    });

function stageJson({ number, partitions, nodes }: Stage): object {
  const shown = nodes.map(({ id, kind, detail, shownDetail = detail, inputs, source, sink }) => {
    return { id, kind, detail: shownDetail, from: inputs, reads: source?.name, writes: sink };
  });
  return { number, partitions, nodes: shown };
}
