/** `tidemark cluster status`, and the changes: each is done when the verb ends, and may be asked for again. */
import type { Cluster } from "../../cluster.ts";
import { TidemarkError } from "../../error.ts";
import { type ConnectionOptions, openClient, withConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { type Io, write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { clusterText } from "./cluster-shown.ts";

const PORT_MAX = 65_535;

type AddOptions = ConnectionOptions & { readonly learner?: true };
type ReplaceOptions = ConnectionOptions & { readonly address?: string };
type DrainOptions = ConnectionOptions & { readonly undo?: true };
type Change = (cluster: Cluster, call: { readonly signal: AbortSignal }) => Promise<void>;

export const statusCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("status", "show the members, who leads, and how far they are", "tidemark cluster status -o json"),
  ).action((options: ConnectionOptions) => done(io, options, onDone, () => Promise.resolve()));

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
    .action((member: string, options: AddOptions) => {
      const [node = "", address] = member.split(/=(.*)/s);
      if (node === "" || address === undefined)
        throw new TidemarkError("invalid-argument", `"${member}" is not NAME=HOST:PORT`);
      const at = addressOf(address);
      const votes = options.learner !== true;
      return done(io, options, onDone, (cluster, call) => cluster.add(node, at, { ...call, votes }));
    });

export const removeCommand: Verb = (io, onDone) =>
  withConnectionOptions(newVerb("remove", "remove a node, unless it leads", "tidemark cluster remove n4"))
    .argument("<name>", "the node")
    .action((node: string, options: ConnectionOptions) =>
      done(io, options, onDone, (cluster, call) => cluster.remove(node, call)),
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
      const { address } = options;
      const at = address === undefined ? {} : { address: addressOf(address) };
      return done(io, options, onDone, (cluster, call) => cluster.replace(node, { ...call, ...at }));
    });

export const transferCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("transfer", "hand leadership over", "tidemark cluster transfer", "tidemark cluster transfer n2"),
  )
    .argument("[name]", "to whom (default: whoever has most of the log)")
    .action((to: string | undefined, options: ConnectionOptions) =>
      done(io, options, onDone, (cluster, call) => cluster.transfer(to, call)),
    );

export const drainCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "drain",
      "before maintenance: move leadership and live readers off a node and keep them off, until undone or until it restarts",
      "tidemark cluster drain n2",
      "tidemark cluster drain n2 --undo",
    ),
  )
    .argument("<name>", "the node; its /readyz answers 503 meanwhile, and it serves what does not wait")
    .option("--undo", "it may lead and be followed again")
    .action((node: string, options: DrainOptions) =>
      done(io, options, onDone, (cluster, call) => cluster.drain(node, { ...call, undo: options.undo === true })),
    );

export const upgradeCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "upgrade",
      "once all nodes run a newer version: let them use what only it knows, for good",
      "tidemark cluster upgrade",
    ),
  ).action((options: ConnectionOptions) => done(io, options, onDone, (cluster, call) => cluster.upgrade(call)));

/** The change is made, and shown what became of the cluster. */
async function done(
  io: Io,
  options: ConnectionOptions,
  onDone: (exitCode: number) => void,
  change: Change,
): Promise<void> {
  await using client = openClient(io, options);
  const call = { signal: io.interrupted };
  await change(client.cluster(), call);
  const status = await client.cluster().status(call);
  await write(io.stdout, options.output === "json" ? jsonLine(status) : clusterText(status));
  onDone(EXIT.ok);
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > PORT_MAX) throw new TidemarkError("invalid-argument", `"${text}" is not HOST:PORT`);
  return { host, port };
}
