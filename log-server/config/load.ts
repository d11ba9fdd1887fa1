/**
 * Makes the configuration from flags, over the environment, over a file, over defaults. Refuses what it does not know,
 * and reports every problem at once, each with the place it came from.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import {
  CLIENT_VARIABLES,
  CONFIG_FLAG,
  CONFIG_VARIABLE,
  flagOf,
  keyOf,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type ServerConfig,
  VARIABLE_PREFIX,
  variableOf,
} from "./config.ts";
import { formatHostPort, isLoopback } from "./values.ts";

export type ConfigSources = {
  /** Behind `serve`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; throws where there is none. */
  readonly readFile: (path: string) => string;
};

export type LoadedConfig = {
  readonly config: ServerConfig;
  /** Where each value came from, for people: `--listen`, `TIDEMARK_LISTEN`, `listen in FILE`, or undefined: the default. */
  readonly origins: { readonly [Name in OptionName]: string | undefined };
};

/** One value as given, and where; without text if it could not be read, which is reported already. */
type Given = { readonly text: string | undefined; readonly origin: string };
type Layer = ReadonlyMap<OptionName, Given>;
type Problems = string[];

export function loadConfig(sources: ConfigSources): Result<LoadedConfig, readonly string[]> {
  const problems: Problems = [];
  const flags = fromFlags(sources, problems);
  const variables = fromEnvironment(sources, problems);
  const file = flags.configFile ?? sources.env[CONFIG_VARIABLE];
  const settings = file === undefined ? new Map<OptionName, Given>() : fromFile(file, sources, problems);
  const layers = [flags.layer, variables, settings];

  const given = (name: OptionName): Given | undefined => layers.find((layer) => layer.has(name))?.get(name);
  const value = <Name extends OptionName>(name: Name): ServerConfig[Name] => {
    const found = given(name);
    if (found?.text === undefined) return OPTIONS[name].fallback;
    const parsed = OPTIONS[name].parse(found.text);
    if (parsed.ok) return parsed.value;
    problems.push(
      `${found.origin} ${parsed.error}${OPTIONS[name].secret ? "" : `, not ${JSON.stringify(found.text)}`}`,
    );
    return OPTIONS[name].fallback;
  };
  const config: ServerConfig = {
    data: value("data"),
    listen: value("listen"),
    id: value("id"),
    peerListen: value("peerListen"),
    peers: value("peers"),
    peerTlsCert: value("peerTlsCert"),
    peerTlsKey: value("peerTlsKey"),
    peerTlsCa: value("peerTlsCa"),
    token: value("token"),
    webhookKey: value("webhookKey"),
    insecure: value("insecure"),
    publicUrl: value("publicUrl"),
    logLevel: value("logLevel"),
    lowWaterBytes: value("lowWaterBytes"),
    segmentBytes: value("segmentBytes"),
  };
  const exposed = given("token") === undefined && !config.insecure && !isLoopback(config.listen.host);
  if (exposed) problems.push(exposedProblem(config));
  // What could not be read is told of already, and is not missing.
  const unread = (["id", "peerListen", "peers"] as const).some(
    (name) => given(name) !== undefined && config[name] === undefined,
  );
  if (!unread) problems.push(...clusterProblems(config));
  if (problems.length > 0) return err(problems);
  const origins = Object.fromEntries(OPTION_NAMES.map((name) => [name, given(name)?.origin]));
  return ok({ config, origins: origins as LoadedConfig["origins"] });
}

/** Why a server without a token must not listen there (secure by default). */
export function exposedProblem({ listen }: Pick<ServerConfig, "listen">): string {
  return `listening on ${formatHostPort(listen)} needs --token-file, for it can be reached from other machines (or --insecure, if that is meant)`;
}

/** What does not go together of what a member of a cluster is told. */
export function clusterProblems(config: ServerConfig): readonly string[] {
  const { id, peerListen, peers, insecure } = config;
  const tls = [config.peerTlsCert, config.peerTlsKey, config.peerTlsCa].filter((path) => path !== undefined).length;
  if (peers === undefined) {
    const problems: string[] = [];
    if (peerListen !== undefined) problems.push("--peer-listen needs --peers, which says who else there is");
    if (tls > 0) problems.push("--peer-tls-cert, --peer-tls-key and --peer-tls-ca need --peers");
    return problems;
  }
  const problems: string[] = [];
  if (id === undefined) problems.push("--peers needs --id, to know which of them this node is");
  else if (!peers.some(({ node }) => node === id))
    problems.push(`--peers must name this node, ${id}, too: it has ${peers.map(({ node }) => node).join(", ")}`);
  if (peerListen === undefined) problems.push("--peers needs --peer-listen, where the others connect");
  if (tls > 0 && tls < 3) problems.push("--peer-tls-cert, --peer-tls-key and --peer-tls-ca are given together");
  if (tls === 0 && peerListen !== undefined && !isLoopback(peerListen.host) && !insecure)
    problems.push(
      `listening for nodes on ${formatHostPort(peerListen)} needs --peer-tls-cert, --peer-tls-key and --peer-tls-ca, for it can be reached from other machines (or --insecure, if that is meant)`,
    );
  return problems;
}

function fromFlags(sources: ConfigSources, problems: Problems): { layer: Layer; configFile: string | undefined } {
  const named = new Map(OPTION_NAMES.map((name) => [`--${flagOf(name)}`, name]));
  const layer = new Map<OptionName, Given>();
  let configFile: string | undefined;
  const rest = [...sources.args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [flag, inline] = splitFlag(arg);
    const name = named.get(flag);
    const takesValue = name === undefined || OPTIONS[name].placeholder !== undefined;
    const follows = takesValue && inline === undefined && rest[0]?.startsWith("--") === false;
    const text = inline ?? (takesValue ? (follows ? rest[0] : undefined) : "true");
    if (!flag.startsWith("--")) {
      problems.push(`unexpected ${JSON.stringify(arg)}`);
      continue;
    }
    if (follows) rest.shift();
    if (name === undefined && flag !== CONFIG_FLAG) problems.push(`${flag} is not an option`);
    else if (name === undefined ? configFile !== undefined : layer.has(name)) problems.push(`${flag} is given twice`);
    else if (text === undefined) problems.push(`${flag} needs a value`);
    else if (name === undefined) configFile = text;
    else if (OPTIONS[name].secret) addSecret(layer, name, text, flag, sources, problems);
    else layer.set(name, { text, origin: flag });
  }
  return { layer, configFile };
}

function splitFlag(arg: string): readonly [flag: string, inline: string | undefined] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function fromEnvironment(sources: ConfigSources, problems: Problems): Layer {
  const known = new Set<string>([CONFIG_VARIABLE, ...CLIENT_VARIABLES]);
  const layer = new Map<OptionName, Given>();
  for (const name of OPTION_NAMES) {
    const origin = variableOf(name);
    known.add(origin);
    const text = sources.env[origin];
    if (text !== undefined) layer.set(name, { text, origin });
    if (!OPTIONS[name].secret) continue;
    const fileOrigin = `${origin}_FILE`;
    known.add(fileOrigin);
    const path = sources.env[fileOrigin];
    if (path === undefined) continue;
    if (text === undefined) addSecret(layer, name, path, fileOrigin, sources, problems);
    else problems.push(`${origin} and ${fileOrigin} are both given`);
  }
  for (const variable of Object.keys(sources.env).sort()) {
    if (variable.startsWith(VARIABLE_PREFIX) && !known.has(variable))
      problems.push(`${variable} is not a known variable`);
  }
  return layer;
}

function fromFile(path: string, sources: ConfigSources, problems: Problems): Layer {
  const layer = new Map<OptionName, Given>();
  let settings: unknown;
  try {
    settings = JSON.parse(sources.readFile(path));
  } catch (error) {
    problems.push(`the configuration file ${path} cannot be read: ${messageOf(error)}`);
    return layer;
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    problems.push(`the configuration file ${path} must hold a JSON object`);
    return layer;
  }
  const named = new Map(OPTION_NAMES.map((name) => [keyOf(name), name]));
  for (const [key, setting] of Object.entries(settings)) {
    const name = named.get(key);
    const origin = `${key} in ${path}`;
    if (name === undefined) problems.push(`${origin} is not a known setting`);
    else if (!["string", "number", "boolean"].includes(typeof setting)) {
      problems.push(`${origin} must be a string, a number or a boolean`);
    } else if (OPTIONS[name].secret) addSecret(layer, name, String(setting), origin, sources, problems);
    else layer.set(name, { text: String(setting), origin });
  }
  return layer;
}

function addSecret(
  layer: Map<OptionName, Given>,
  name: OptionName,
  path: string,
  origin: string,
  sources: ConfigSources,
  problems: Problems,
): void {
  let text: string | undefined;
  try {
    text = sources.readFile(path);
  } catch (error) {
    problems.push(`${origin}: ${path} cannot be read: ${messageOf(error)}`);
  }
  layer.set(name, { text, origin: `${origin} (the content of ${path})` });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
