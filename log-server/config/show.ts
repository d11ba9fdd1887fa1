/** The configuration for people: the list of options in help, and the effective one with secrets masked. */
import { CONFIG_FLAG, CONFIG_VARIABLE, flagOf, OPTION_NAMES, OPTIONS, type OptionName, variableOf } from "./config.ts";
import type { LoadedConfig } from "./load.ts";
import { formatHostPort, formatPeers, formatSize } from "./values.ts";

const MASK = "(set)";

type Row = readonly [name: string, rest: string];

/** An option as help shows it: `--listen <HOST:PORT>`, and what it is, by default and by which variable. */
export type OptionHelp = { readonly flag: string; readonly help: string };

/** Of each option, for `serve --help` and for completions. */
export function describeOptions(): readonly OptionHelp[] {
  const options: OptionHelp[] = OPTION_NAMES.map((name) => {
    const { placeholder, help, secret } = OPTIONS[name];
    const fallback = defaultText(name);
    const variable = secret ? `${variableOf(name)}_FILE` : variableOf(name);
    return {
      flag: `--${flagOf(name)}${placeholder === undefined ? "" : ` <${placeholder}>`}`,
      help: `${help}${fallback === undefined ? "" : ` (default ${fallback})`} [${variable}]`,
    };
  });
  options.push({
    flag: `${CONFIG_FLAG} <FILE>`,
    help: `a JSON file of settings, such as { "listen": "127.0.0.1:4437" } [${CONFIG_VARIABLE}]`,
  });
  return options;
}

/** What is in effect and where each value came from, for `config print`; as an object for JSON. */
export function effectiveConfig({ config, origins }: LoadedConfig): {
  readonly [Name in OptionName]: { readonly value: string | number | boolean | undefined; readonly from: string };
} {
  const shown = OPTION_NAMES.map((name) => {
    const value = OPTIONS[name].secret && config[name] !== undefined ? MASK : plain(config[name]);
    return [name, { value, from: origins[name] ?? "default" }];
  });
  return Object.fromEntries(shown) as ReturnType<typeof effectiveConfig>;
}

/** All that is wrong with a configuration, as standard error shows it: lines for people, or one line of JSON. */
export function formatProblems(problems: readonly string[], output: "text" | "json"): string {
  const detail = "the configuration is wrong";
  if (output === "text") return `tidemark: ${detail}:\n${problems.map((problem) => `  - ${problem}\n`).join("")}`;
  return `${JSON.stringify({ error: { code: "misconfigured", detail, retryable: false, problems } })}\n`;
}

export function formatConfig(loaded: LoadedConfig): string {
  const shown = Object.entries(effectiveConfig(loaded));
  return table(shown.map(([name, { value, from }]) => [name, `${value ?? "-"}  (${from})`]));
}

function plain(value: LoadedConfig["config"][OptionName]): string | number | boolean | undefined {
  if (typeof value !== "object") return value;
  return "host" in value ? formatHostPort(value) : formatPeers(value);
}

function defaultText(name: OptionName): string | undefined {
  const { fallback, placeholder } = OPTIONS[name];
  if (placeholder === "SIZE" && typeof fallback === "number") return formatSize(fallback);
  const value = plain(fallback);
  return value === undefined || value === false ? undefined : String(value);
}

function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, rest]) => `  ${name.padEnd(width)}  ${rest}\n`).join("");
}
