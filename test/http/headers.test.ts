/** The small parsers of headers, queries and tags. */
import { describe, expect, it } from "vitest";
import { checkJsonEncoding, isJson, isText, normalizeContentType } from "../../log-server/http/content-type.ts";
import { laterCursor, nextCursor } from "../../log-server/http/cursor.ts";
import { matchesEtag, readEtag } from "../../log-server/http/etag.ts";
import { closedHeader, parseInteger } from "../../log-server/http/header-values.ts";
import { HttpError } from "../../log-server/http/http-error.ts";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { expiryHeaders, producerHeaders } from "../../log-server/http/stream-routes/request-headers.ts";
import { readQuery, streamOfUrl } from "../../log-server/http/stream-url.ts";

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof HttpError ? error.code : String(error);
  }
}

describe("content types", () => {
  it("have one normal form", () => {
    expect(normalizeContentType("APPLICATION/JSON")).toBe("application/json");
    expect(normalizeContentType("text/plain;charset=UTF-8")).toBe("text/plain; charset=utf-8");
    expect(normalizeContentType('multipart/x; B="q;\\"";a=1')).toBeUndefined();
    expect(normalizeContentType("text/plain; b=2; a=1")).toBe("text/plain; a=1; b=2");
    for (const bad of ["", "text", "text/", "/plain", "a/b/c", "text/pl ain", "text/plain; x"]) {
      expect(normalizeContentType(bad), bad).toBeUndefined();
    }
  });

  it.each(["utf-8", "UTF-8", "utf8", '"utf-8"', '"UTF-8"'])("say that JSON is in UTF-8: %s", (charset) => {
    for (const type of ["application/json", "application/x-ndjson", "application/json; a=1"]) {
      const normal = normalizeContentType(`${type}; charset=${charset}`) ?? "";
      expect(() => checkJsonEncoding(normal)).not.toThrow();
    }
  });

  it.each(["latin1", "utf-16", '"utf-16"', "us-ascii", "utf-88", "utf-8; charset=latin1"])(
    "say that JSON is in something else: %s",
    (charset) => {
      for (const type of ["application/json", "application/x-ndjson", "application/jsonl", "application/json; a=1"]) {
        const normal = normalizeContentType(`${type}; charset=${charset}`) ?? "";
        expect(codeOf(() => checkJsonEncoding(normal))).toBe("unsupported-media-type");
      }
      expect(() => checkJsonEncoding(normalizeContentType(`text/plain; charset=${charset}`) ?? "")).not.toThrow();
    },
  );

  it("decide about JSON mode and text", () => {
    expect(isJson("application/json; charset=utf-8")).toBe(true);
    expect(isJson("application/jsonl")).toBe(false);
    expect([isText("text/html"), isText("application/json"), isText("application/ndjson")]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("cursors", () => {
  const now = Date.UTC(2024, 9, 9, 0, 10);

  it("count intervals of 20 seconds from the protocol's epoch", () => {
    expect(nextCursor(undefined, now, 0)).toBe("30");
    expect(nextCursor("7", now, 0)).toBe("30");
  });

  it("are always greater than the one the client has shown, however large", () => {
    expect(nextCursor("30", now, 0)).toBe("31");
    expect(nextCursor("30", now, 179)).toBe("210");
    expect(nextCursor("9007199254740993", now, 0)).toBe("9007199254740994");
    expect(nextCursor("x", now, 0)).toBe("30");
    expect(laterCursor("9", "30")).toBe("30");
  });
});

describe("entity tags", () => {
  it("vary with closure, and match weakly and in lists", () => {
    const open = readEtag("c", 1, 0, 5, false);
    expect(readEtag("c", 1, 0, 5, true)).not.toBe(open);
    expect(matchesEtag(open, open)).toBe(true);
    expect(matchesEtag(`"x", W/${open}`, open)).toBe(true);
    expect(matchesEtag("*", open)).toBe(true);
    expect(matchesEtag('"x"', open)).toBe(false);
  });
});

describe("header values", () => {
  it("take integers in one spelling", () => {
    expect(parseInteger("0")).toBe(0);
    expect(parseInteger("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
    for (const bad of ["", "-1", "+1", "01", "1.0", "1e3", "9007199254740992", "1, 1"])
      expect(parseInteger(bad), bad).toBeUndefined();
  });

  it("take Stream-Closed as true only", () => {
    expect(closedHeader({ "stream-closed": "TRUE" })).toBe(true);
    for (const value of ["false", "1", "yes", ""]) expect(closedHeader({ "stream-closed": value })).toBe(false);
  });

  it("want all producer headers or none", () => {
    const whole = { "producer-id": "p", "producer-epoch": "1", "producer-seq": "2" };
    expect(producerHeaders(whole, HTTP_LIMITS)).toEqual({ id: "p", epoch: 1, sequence: 2 });
    expect(producerHeaders({}, HTTP_LIMITS)).toBeUndefined();
    for (const broken of [
      { "producer-id": "p" },
      { ...whole, "producer-id": "" },
      { ...whole, "producer-seq": "1abc" },
    ]) {
      expect(codeOf(() => producerHeaders(broken, HTTP_LIMITS))).toBe("malformed-header");
    }
  });

  it("read times to live and expiry times", () => {
    expect(expiryHeaders({ "stream-ttl": "3600" }, HTTP_LIMITS)).toEqual({ kind: "sliding", ttlSeconds: 3600 });
    expect(expiryHeaders({ "stream-expires-at": "2030-01-01T00:00:00+01:00" }, HTTP_LIMITS)).toEqual({
      kind: "absolute",
      atMs: Date.UTC(2029, 11, 31, 23),
    });
    const both = { "stream-ttl": "1", "stream-expires-at": "2030-01-01T00:00:00Z" };
    for (const bad of [
      both,
      { "stream-ttl": "1.5" },
      { "stream-expires-at": "tomorrow" },
      { "stream-ttl": "99999999999" },
    ]) {
      expect(codeOf(() => expiryHeaders(bad, HTTP_LIMITS))).toBe("malformed-header");
    }
  });
});

describe("stream URLs", () => {
  it("name streams by their raw path", () => {
    expect(streamOfUrl("/v1/stream/a/b%20c?offset=-1", 1_000)).toBe("a/b c");
    expect(codeOf(() => streamOfUrl("/v1/stream/a%2Fb", 1_000))).toBe("malformed-name");
    expect(codeOf(() => streamOfUrl("/v1/stream/../x", 1_000))).toBe("malformed-name");
    expect(codeOf(() => streamOfUrl("/v1/str%65am/x", 1_000))).toBe("malformed-url");
    expect(codeOf(() => streamOfUrl("/v1/stream/\u00e9", 1_000))).toBe("malformed-url");
    expect(codeOf(() => streamOfUrl(`/v1/stream/${"a".repeat(1_000)}`, 1_000))).toBe("url-too-long");
  });

  it("read offsets, modes and cursors", () => {
    expect(readQuery("/x")).toEqual({ from: { kind: "start" }, live: undefined, cursor: undefined });
    expect(readQuery("/x?offset=now&live=sse&cursor=5")).toEqual({ from: { kind: "now" }, live: "sse", cursor: "5" });
    expect(readQuery("/x?offset=0000000000000003_0000000000000007").from).toEqual({
      kind: "token",
      token: { incarnation: 3, offset: 7 },
    });
    for (const bad of ["offset=", "offset=1", "offset=a&offset=b", "live=sse", "offset=0,1"]) {
      expect(
        codeOf(() => readQuery(`/x?${bad}`)),
        bad,
      ).toBe("malformed-offset");
    }
    expect(codeOf(() => readQuery("/x?offset=-1&live=never"))).toBe("malformed-url");
  });
});
