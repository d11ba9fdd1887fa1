/**
 * What a server can be told, as one table: names, forms, defaults, help. Where the values come from is `load.ts`; what
 * they do is `start-node.ts`. Everything below takes the finished `ServerConfig` and has no defaults of its own.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import { LOG_LIMITS } from "../log/limits.ts";
import { NODE_LIMITS } from "../node/limits.ts";
import {
  type HostPort,
  type PeerAddress,
  parseBaseUrl,
  parseBoolean,
  parseHostPort,
  parseNodeName,
  parsePeers,
  parseSegmentSize,
  parseSize,
  parseSigningKeys,
  parseToken,
} from "./values.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type ServerConfig = {
  /** The data folder. */
  readonly data: string;
  readonly listen: HostPort;
  /** The node's name; undefined: the one its data folder has, or a random one for a new folder. */
  readonly id: string | undefined;
  /** Where other nodes connect; undefined: there are none. */
  readonly peerListen: HostPort | undefined;
  /** Who founds the cluster, this node among them, and where they listen for each other; undefined: it is alone. */
  readonly peers: readonly PeerAddress[] | undefined;
  /** Files with the node's certificate and key and the cluster's authority, PEM: all three or none. */
  readonly peerTlsCert: string | undefined;
  readonly peerTlsKey: string | undefined;
  readonly peerTlsCa: string | undefined;
  /** Clients must present it; undefined: no token is asked for. */
  readonly token: string | undefined;
  /**
   * Private keys that webhooks and their callbacks are signed with, PEM: the first signs, all are trusted. The same on all
   * nodes of a cluster. Undefined: a node alone has its own, in its data folder.
   */
  readonly webhookKey: string | undefined;
  /** Listening beyond this machine without a token is meant. */
  readonly insecure: boolean;
  readonly logLevel: LogLevel;
  /** How clients and webhook receivers reach the server, when that is not where it listens: no slash at the end. */
  readonly publicUrl: string | undefined;
  /** With less free space than this, commands that add data are refused. */
  readonly lowWaterBytes: number;
  /** How large a segment file of the log is; a few of them always exist. */
  readonly segmentBytes: number;
};

export type OptionName = keyof ServerConfig;

export type Option<T> = {
  /** How help shows the value; undefined for a switch. */
  readonly placeholder?: string;
  readonly help: string;
  /** Never on a command line or in the configuration file itself: `--token-file`, `TIDEMARK_TOKEN_FILE`, `tokenFile`. */
  readonly secret?: true;
  readonly fallback: T;
  /** The error is a phrase that follows the option's name: "must be …". */
  readonly parse: (text: string) => Result<T, string>;
};

export const OPTIONS: { readonly [Name in OptionName]: Option<ServerConfig[Name]> } = {
  data: {
    placeholder: "DIR",
    help: "the data folder, on a local disk",
    fallback: ".tidemark",
    parse: (text) => (text === "" ? err("must not be empty") : ok(text)),
  },
  listen: {
    placeholder: "HOST:PORT",
    help: "where to listen; port 0 takes a free one",
    fallback: { host: "127.0.0.1", port: 4437 },
    parse: parseHostPort,
  },
  id: {
    placeholder: "NAME",
    help: "the node's name; must be the one its data folder has (default: that one, or a random one)",
    fallback: undefined,
    parse: parseNodeName,
  },
  peerListen: {
    placeholder: "HOST:PORT",
    help: "where the cluster's other nodes connect; with --peers",
    fallback: undefined,
    parse: (text) => {
      const parsed = parseHostPort(text);
      return parsed.ok && parsed.value.port === 0 ? err("must have a port that the others can know") : parsed;
    },
  },
  peers: {
    placeholder: "NAME=HOST:PORT,…",
    help: "the cluster's members, this node among them, and their --peer-listen addresses (default: a node alone)",
    fallback: undefined,
    parse: parsePeers,
  },
  peerTlsCert: file("the node's certificate for other nodes, PEM, with its name as a DNS name"),
  peerTlsKey: file("the key of that certificate, PEM"),
  peerTlsCa: file("the authority that the cluster's certificates are of, PEM"),
  token: {
    placeholder: "FILE",
    help: "a file with the bearer token that clients must present",
    secret: true,
    fallback: undefined,
    parse: parseToken,
  },
  webhookKey: {
    placeholder: "FILE",
    help: "a file with the Ed25519 key, PEM, that webhooks are signed with, the same on all nodes of a cluster",
    secret: true,
    fallback: undefined,
    parse: parseSigningKeys,
  },
  insecure: {
    help: "listen beyond this machine without a token",
    fallback: false,
    parse: parseBoolean,
  },
  logLevel: {
    placeholder: "LEVEL",
    help: `how much to log on standard error: ${LOG_LEVELS.join(", ")}`,
    fallback: "info",
    parse: (text) => {
      const level = LOG_LEVELS.find((known) => known === text);
      return level === undefined ? err(`must be one of ${LOG_LEVELS.join(", ")}`) : ok(level);
    },
  },
  publicUrl: {
    placeholder: "URL",
    help: "how others reach the server, for Location and webhooks (default: where it listens)",
    fallback: undefined,
    parse: parseBaseUrl,
  },
  lowWaterBytes: {
    placeholder: "SIZE",
    help: "refuse new data when less disk space than this is free, such as 256MiB",
    fallback: NODE_LIMITS.lowWaterBytes,
    parse: parseSize,
  },
  segmentBytes: {
    placeholder: "SIZE",
    help: "how large a segment file of the log is; a few always exist",
    fallback: LOG_LIMITS.segmentBytes,
    parse: parseSegmentSize,
  },
};

function file(help: string): Option<string | undefined> {
  return {
    placeholder: "FILE",
    help,
    fallback: undefined,
    parse: (text) => (text === "" ? err("must not be empty") : ok(text)),
  };
}

export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS) as OptionName[];

/** The flag without its dashes, `log-level`; a secret's names the file that holds it. */
export function flagOf(name: OptionName): string {
  return `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}${OPTIONS[name].secret ? "-file" : ""}`;
}

/** The environment variable, `TIDEMARK_LOG_LEVEL`. */
export function variableOf(name: OptionName): string {
  return `${VARIABLE_PREFIX}${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** The key in a configuration file, `logLevel`; a secret's names the file that holds it. */
export function keyOf(name: OptionName): string {
  return `${name}${OPTIONS[name].secret ? "File" : ""}`;
}

export const VARIABLE_PREFIX = "TIDEMARK_";

/** A file of settings, as JSON: `--config FILE` or `TIDEMARK_CONFIG`. */
export const CONFIG_FLAG = "--config";
export const CONFIG_VARIABLE: string = `${VARIABLE_PREFIX}CONFIG`;

/** Read by the command line's client side; no mistake in a server's environment. */
export const CLIENT_VARIABLES: ReadonlySet<string> = new Set([`${VARIABLE_PREFIX}URL`]);
