/** Where webhooks may go (server-side request forgery), how they are signed, and the tokens of wakes. */
import { createPublicKey, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { secretsOfKeys, temporarySecrets } from "../../log-server/http/subscriptions/secrets.ts";
import { generateSigningKeyPem, webhookSignature } from "../../log-server/http/subscriptions/signing.ts";
import { checkToken, issueToken } from "../../log-server/http/subscriptions/tokens.ts";
import { type Address, checkWebhookUrl, resolveWebhook } from "../../log-server/http/subscriptions/url-policy.ts";

const PUBLIC = { allowLoopback: false };
const LOCAL = { allowLoopback: true };

describe("webhook addresses", () => {
  const forbidden = [
    "http://example.com/",
    "ftp://example.com/",
    "nonsense",
    "https://user:secret@example.com/",
    "https://10.0.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://localhost/",
    "https://a.localhost/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[2002:a00:1::]/",
    "https://[64:ff9b::a00:1]/",
    "https://255.255.255.255/",
  ];
  it.each(forbidden)("refuse %s", (url) => expect(checkWebhookUrl(url, PUBLIC).ok).toBe(false));

  it.each(["https://example.com/hook", "https://93.184.216.34/", "https://[2606:2800:220:1::1]:8443/x"])(
    "allow %s",
    (url) => {
      expect(checkWebhookUrl(url, PUBLIC).ok).toBe(true);
    },
  );

  it("are loopback, and plain HTTP, only for a server that listens on loopback", () => {
    for (const url of ["http://127.0.0.1:9/hook", "http://localhost:9/", "http://[::1]:9/"]) {
      expect(checkWebhookUrl(url, LOCAL).ok, url).toBe(true);
      expect(checkWebhookUrl(url, PUBLIC).ok, url).toBe(false);
    }
    for (const url of ["http://example.com/", "http://10.0.0.1/", "https://10.0.0.1/"]) {
      expect(checkWebhookUrl(url, LOCAL).ok, url).toBe(false);
    }
  });

  it("are judged by all that a name resolves to, and pinned to what was judged", async () => {
    const names: Readonly<Record<string, readonly Address[]>> = {
      "good.example": [{ address: "93.184.216.34", family: 4 }],
      "bad.example": [
        { address: "93.184.216.34", family: 4 },
        { address: "10.0.0.1", family: 4 },
      ],
      "inside.example": [{ address: "::1", family: 6 }],
    };
    const resolve = (name: string): Promise<readonly Address[]> => Promise.resolve(names[name] ?? []);
    const at = (name: string) => resolveWebhook(new URL(`https://${name}/`), PUBLIC, resolve);
    expect(await at("good.example")).toEqual({ ok: true, value: { address: "93.184.216.34", family: 4 } });
    expect((await at("bad.example")).ok).toBe(false);
    expect((await at("inside.example")).ok).toBe(false);
    expect((await at("missing.example")).ok).toBe(false);
  });
});

describe("webhook signatures", () => {
  it("verify with the published key, over timestamp and body", () => {
    const { signingKey } = temporarySecrets();
    const body = Buffer.from('{"a":1}');
    const match = /^t=(\d+),kid=(ds_[A-Za-z0-9_-]+),ed25519=([A-Za-z0-9_-]+)$/.exec(
      webhookSignature(signingKey, 1_700_000_000_999, body),
    );
    expect(match?.[1]).toBe("1700000000");
    expect(match?.[2]).toBe(signingKey.jwk.kid);
    const key = createPublicKey({ key: { ...signingKey.jwk }, format: "jwk" });
    const signed = Buffer.concat([Buffer.from("1700000000."), body]);
    expect(verify(null, signed, key, Buffer.from(match?.[3] ?? "", "base64url"))).toBe(true);
  });
});

describe("wake tokens", () => {
  const { tokenSecrets } = temporarySecrets();
  const token = issueToken(tokenSecrets[0], { subscription: "s", generation: 3 }, 1_000);

  it("name their subscription and generation", () => {
    expect(checkToken(tokenSecrets, token, 1_000)).toEqual({
      kind: "valid",
      token: { subscription: "s", generation: 3 },
    });
  });

  it("end", () => {
    expect(checkToken(tokenSecrets, token, 8 * 24 * 3_600_000)).toEqual({ kind: "expired" });
  });

  it("cannot be made or changed without the secret", () => {
    const [header, , signature] = token.split(".");
    const payload = Buffer.from('{"sub":"s","gen":4,"exp":99999999999}').toString("base64url");
    for (const forged of [
      "",
      "a.b.c",
      `${token}x`,
      `${header}.${payload}.${signature}`,
      `${header}.${payload}.`,
      "x".repeat(10_000),
    ]) {
      expect(checkToken(tokenSecrets, forged, 1_000), forged.slice(0, 40)).toEqual({ kind: "invalid" });
    }
    expect(checkToken(temporarySecrets().tokenSecrets, token, 1_000)).toEqual({ kind: "invalid" });
  });

  it("of a configured key are known wherever it is configured, and for as long as it is", () => {
    const [old, next] = [generateSigningKeyPem(), generateSigningKeyPem()];
    const issued = issueToken(secretsOfKeys(old).tokenSecrets[0], { subscription: "s", generation: 3 }, 1_000);
    const rotated = secretsOfKeys(`${next}\n${old}`);
    expect(checkToken(rotated.tokenSecrets, issued, 1_000).kind).toBe("valid");
    expect(rotated.signingKey.jwk).toEqual(secretsOfKeys(next).signingKey.jwk);
    expect(rotated.retiredKeys).toEqual([secretsOfKeys(old).signingKey.jwk]);
    expect(checkToken(secretsOfKeys(next).tokenSecrets, issued, 1_000)).toEqual({ kind: "invalid" });
    expect(rotated.tokenSecrets[0]).toHaveLength(32);
  });
});
