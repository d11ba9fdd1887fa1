/** `tidemark cluster status`, and the changes: each is done when the verb ends, and may be asked for again. */
import { TidemarkError } from "../../error.ts";
import { type ConnectionOptions, withConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { type Io, write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { changeCluster, clusterView } from "./ask-cluster.ts";
import { clusterText } from "./cluster-shown.ts";
import { serverFor } from "./server-for.ts";

type AddOptions = ConnectionOptions & { readonly learner?: true };
type ReplaceOptions = ConnectionOptions & { readonly address?: string };
type Change = { readonly method: "POST" | "DELETE"; readonly path: string; readonly body?: object };

export const statusCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("status", "show the members, who leads, and how far they are", "tidemark cluster status -o json"),
  ).action(async (options: ConnectionOptions) => {
    await show(io, options);
    onDone(EXIT.ok);
  });

export const addCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "add",
      "add a node, which votes once it has caught up; or tell a new address of one",
      "tidemark cluster add n4=10.0.0.4:4438",
    ),
  )
    .argument("<name=host:port>", "its name, and where it listens for other nodes")
    .option("--learner", "it keeps a copy, and never votes")
    .action(async (member: string, options: AddOptions) => {
      const [node = "", address = ""] = member.split(/=(.*)/s);
      const body = { node, ...addressOf(address), votes: options.learner !== true };
      await done(io, options, onDone, { method: "POST", path: "/members", body });
    });

export const removeCommand: Verb = (io, onDone) =>
  withConnectionOptions(newVerb("remove", "remove a node, unless it leads", "tidemark cluster remove n4"))
    .argument("<name>", "the node")
    .action((node: string, options: ConnectionOptions) =>
      done(io, options, onDone, { method: "DELETE", path: `/members/${encodeURIComponent(node)}` }),
    );

export const replaceCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "replace",
      "let a node that lost its data begin anew under its name: start it with an empty folder",
      "tidemark cluster replace n2",
    ),
  )
    .argument("<name>", "the node")
    .option("--address <host:port>", "where the new one listens for other nodes, if that is another place")
    .action((node: string, options: ReplaceOptions) => {
      const body = options.address === undefined ? {} : addressOf(options.address);
      return done(io, options, onDone, {
        method: "POST",
        path: `/members/${encodeURIComponent(node)}/replace`,
        body,
      });
    });

export const transferCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("transfer", "hand leadership over", "tidemark cluster transfer", "tidemark cluster transfer n2"),
  )
    .argument("[name]", "to whom (default: whoever has most of the log)")
    .action((to: string | undefined, options: ConnectionOptions) =>
      done(io, options, onDone, { method: "POST", path: "/transfer", body: { ...(to !== undefined && { to }) } }),
    );

/** The change is made, and shown what became of the cluster. */
async function done(
  io: Io,
  options: ConnectionOptions,
  onDone: (exitCode: number) => void,
  { method, path, body }: Change,
): Promise<void> {
  await changeCluster(serverFor(io, options), method, path, body);
  await show(io, options);
  onDone(EXIT.ok);
}

async function show(io: Io, options: ConnectionOptions): Promise<void> {
  const view = await clusterView(serverFor(io, options));
  await write(io.stdout, options.output === "json" ? jsonLine(view) : clusterText(view));
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new TidemarkError("invalid-argument", `"${text}" is not HOST:PORT`);
  return { host, port: Number(match?.[3]) };
}
