/** Configuration: what wins, what is refused, and that nobody has to fix problems one by one. */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { flagOf, OPTION_NAMES, variableOf } from "../../log-server/config/config.ts";
import { type ConfigSources, loadConfig } from "../../log-server/config/load.ts";
import { generateSigningKeyPem } from "../../log-server/http/subscriptions/signing.ts";
import { describeOptions, effectiveConfig, formatConfig } from "../../log-server/config/show.ts";

const TOKEN = "a-token-long-enough";
const FILES: Readonly<Record<string, string>> = { "token": `${TOKEN}\n`, "short": "secret", "not-json": "{" };

function load(given: { args?: string[]; env?: Record<string, string>; file?: unknown }): ReturnType<typeof loadConfig> {
  const files = given.file === undefined ? FILES : { ...FILES, "settings.json": JSON.stringify(given.file) };
  const sources: ConfigSources = {
    args: [...(given.file === undefined ? [] : ["--config", "settings.json"]), ...(given.args ?? [])],
    env: given.env ?? {},
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error("no such file");
      return text;
    },
  };
  return loadConfig(sources);
}

function problems(given: Parameters<typeof load>[0]): readonly string[] {
  const loaded = load(given);
  return loaded.ok ? [] : loaded.error;
}

function config(given: Parameters<typeof load>[0]): Extract<ReturnType<typeof load>, { ok: true }>["value"]["config"] {
  const loaded = load(given);
  if (!loaded.ok) throw new Error(loaded.error.join("\n"));
  return loaded.value.config;
}

describe("what wins", () => {
  it("has defaults that are safe", () => {
    expect(config({})).toMatchObject({
      data: ".tidemark",
      listen: { host: "127.0.0.1", port: 4437 },
      insecure: false,
      token: undefined,
      logLevel: "info",
    });
  });

  it("flags over environment over file over defaults", () => {
    const file = { data: "from-file", id: "file", logLevel: "debug" };
    const env = { TIDEMARK_DATA: "from-env", TIDEMARK_ID: "env" };
    expect(config({ file, env, args: ["--data", "from-flag"] })).toMatchObject({
      data: "from-flag",
      id: "env",
      logLevel: "debug",
    });
  });

  it("takes a flag's value behind a space or an equals sign", () => {
    expect(config({ args: ["--listen=[::1]:0", "--insecure=false"] })).toMatchObject({
      listen: { host: "::1", port: 0 },
    });
    expect(config({ args: ["--low-water-bytes", "1GiB"] }).lowWaterBytes).toBe(2 ** 30);
    expect(config({ args: ["--public-url", "https://example.com/"] }).publicUrl).toBe("https://example.com");
  });

  it("finds the file through the environment, too", () => {
    const loaded = loadConfig({ args: [], env: { TIDEMARK_CONFIG: "x" }, readFile: () => '{ "id": "one" }' });
    expect(loaded).toMatchObject({ ok: true, value: { config: { id: "one" }, origins: { id: "id in x" } } });
  });
});

describe("secrets", () => {
  it.each([
    { args: ["--token-file", "token"] },
    { env: { TIDEMARK_TOKEN_FILE: "token" } },
    { env: { TIDEMARK_TOKEN: TOKEN } },
    { file: { tokenFile: "token" } },
  ])("come from a file or the environment: %j", (given) => {
    expect(config(given).token).toBe(TOKEN);
  });

  it.each([
    [{ args: ["--token", TOKEN] }, "--token is not an option"],
    [{ file: { token: TOKEN } }, "token in settings.json is not a known setting"],
    [{ env: { TIDEMARK_TOKEN: TOKEN, TIDEMARK_TOKEN_FILE: "token" } }, "both given"],
    [{ args: ["--token-file", "missing"] }, "missing cannot be read: no such file"],
    [{ args: ["--token-file", "short"] }, "must be 16 to 512"],
  ])("are refused otherwise: %j", (given, problem) => {
    expect(problems(given)).toEqual([expect.stringContaining(problem)]);
  });

  it("of webhooks are Ed25519 keys, PEM, one or more", () => {
    const pem = generateSigningKeyPem();
    const given = (text: string): Parameters<typeof load>[0] => ({ env: { TIDEMARK_WEBHOOK_KEY: text } });
    expect(config(given(pem)).webhookKey).toBe(pem.trim());
    expect(config(given(`old and new:\n${pem}\n${pem}`)).webhookKey?.split(pem.trim())).toHaveLength(3);
    const { privateKey } = generateKeyPairSync("x25519");
    for (const bad of ["", "secret", pem.slice(1), privateKey.export({ type: "pkcs8", format: "pem" }).toString()])
      expect(problems(given(bad)), bad).toEqual([expect.stringContaining("TIDEMARK_WEBHOOK_KEY must hold")]);
    const loaded = load(given(pem));
    expect(loaded.ok && formatConfig(loaded.value)).not.toContain("PRIVATE");
  });

  it("are never shown", () => {
    const loaded = load({ args: ["--token-file", "token"] });
    if (!loaded.ok) throw new Error("refused");
    expect(formatConfig(loaded.value)).not.toContain(TOKEN);
    expect(effectiveConfig(loaded.value).token.value).toBe("(set)");
    expect(problems({ args: ["--token-file", "short"] }).join()).not.toContain("secret");
  });
});

describe("what is refused", () => {
  it("all at once", () => {
    const found = problems({
      args: ["--listen", "nowhere", "--unknown", "value", "stray", "--log-level", "loud", "--data"],
      env: { TIDEMARK_INSECURE: "perhaps", TIDEMARK_TYPO: "1" },
      file: { id: "not a name", colour: "blue", lowWaterBytes: [1] },
    });
    expect(found).toEqual([
      "--unknown is not an option",
      'unexpected "stray"',
      "--data needs a value",
      "TIDEMARK_TYPO is not a known variable",
      "colour in settings.json is not a known setting",
      "lowWaterBytes in settings.json must be a string, a number or a boolean",
      expect.stringMatching(/^--listen must be HOST:PORT.*"nowhere"$/),
      expect.stringMatching(/^id in settings.json must be 1 to 63 .*"not a name"$/),
      'TIDEMARK_INSECURE must be true or false, not "perhaps"',
      expect.stringMatching(/^--log-level must be one of .*"loud"$/),
    ]);
  });

  it.each([
    [{ args: ["--data", "--insecure"] }, "--data needs a value"],
    [{ args: ["--id", "a", "--id", "b"] }, "--id is given twice"],
    [{ args: ["--config", "not-json"] }, "not-json cannot be read"],
    [{ args: ["--config", "missing"] }, "missing cannot be read"],
    [{ file: ["a list"] }, "must hold a JSON object"],
    [{ args: ["--data="] }, "--data must not be empty"],
  ])("%j", (given, problem) => {
    expect(problems(given)).toEqual([expect.stringContaining(problem)]);
  });

  it.each(["", ":4437", "host", "host:", "host:65536", "1:2:3", "[::1]", "[zz]:1", "a b:1"])("listen %j", (listen) => {
    expect(problems({ args: [`--listen=${listen}`] })).toHaveLength(1);
  });
});

describe("secure by default", () => {
  it.each(["0.0.0.0:4437", "[::]:4437", "192.168.1.4:80", "example.com:80"])(
    "%s needs a token or --insecure",
    (listen) => {
      expect(problems({ args: ["--listen", listen] })).toEqual([expect.stringContaining("needs --token-file")]);
      expect(config({ args: ["--listen", listen, "--insecure"] }).insecure).toBe(true);
      expect(config({ args: ["--listen", listen, "--token-file", "token"] }).token).toBe(TOKEN);
    },
  );

  it.each(["127.0.0.1:0", "127.8.8.8:1", "[::1]:2", "localhost:3"])("%s does not", (listen) => {
    expect(problems({ args: ["--listen", listen] })).toEqual([]);
  });
});

describe("a member of a cluster", () => {
  const PEERS = "n1=127.0.0.1:4438,n2=[::1]:4438,n3=example.com:1";
  const TLS = ["--peer-tls-cert", "c", "--peer-tls-key", "k", "--peer-tls-ca", "a"];
  const MEMBER = ["--id", "n1", "--peer-listen", "127.0.0.1:4438", "--peers", PEERS];

  it("is told who else there is, and shown as it was told", () => {
    const loaded = load({ args: MEMBER });
    if (!loaded.ok) throw new Error(loaded.error.join());
    expect(loaded.value.config.peers).toEqual([
      { node: "n1", host: "127.0.0.1", port: 4438 },
      { node: "n2", host: "::1", port: 4438 },
      { node: "n3", host: "example.com", port: 1 },
    ]);
    expect(effectiveConfig(loaded.value).peers.value).toBe(PEERS);
    expect(config({ env: { TIDEMARK_PEERS: PEERS, TIDEMARK_PEER_LISTEN: "[::1]:4438", TIDEMARK_ID: "n2" } }).id).toBe(
      "n2",
    );
  });

  it.each([
    [["--peers", PEERS, "--peer-listen", "127.0.0.1:1"], "--peers needs --id"],
    [
      [...MEMBER, "--id=n4"].filter((arg, at) => at > 1 || !["--id", "n1"].includes(arg)),
      "must name this node, n4, too",
    ],
    [["--id", "n1", "--peers", PEERS], "--peers needs --peer-listen"],
    [["--peer-listen", "127.0.0.1:1"], "--peer-listen needs --peers"],
    [TLS, "need --peers"],
    [[...MEMBER, ...TLS.slice(0, 4)], "are given together"],
    [["--id", "n1", "--peers", PEERS, "--peer-listen", "0.0.0.0:1"], "needs --peer-tls-cert"],
    [["--peer-listen", "127.0.0.1:0"], "must have a port"],
  ])("%j is refused", (args, problem) => {
    expect(problems({ args })).toEqual([expect.stringContaining(problem)]);
  });

  it.each(["", "n1", "n1=", "=h:1", "n1=h:0", "n1=h:1,", "n1=h:1,n1=h:2", "a b=h:1", "n1=h:1;n2=h:2"])(
    "peers %j are refused",
    (peers) => {
      expect(problems({ args: ["--id", "n1", "--peer-listen", "127.0.0.1:1", `--peers=${peers}`] })).toHaveLength(1);
    },
  );

  it.each([TLS, ["--insecure"]])("may be reached from other machines with %j", (...more) => {
    const args = ["--id", "n1", "--peers", PEERS, "--peer-listen", "0.0.0.0:1", ...more.flat()];
    expect(problems({ args })).toEqual([]);
  });
});

it("help names every option, its flag and its variable", () => {
  const help = describeOptions()
    .map((option) => `${option.flag}  ${option.help}`)
    .join("\n");
  for (const name of OPTION_NAMES) {
    expect(help).toContain(`--${flagOf(name)}`);
    expect(help).toContain(variableOf(name));
  }
});
