/** Server-sent events: whatever is in a payload, readers see one event with that payload. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { controlEvent, dataEvent } from "../../log-server/http/stream-routes/sse-events.ts";
import { utf8 } from "../../src/lib/bytes.ts";

type Event = { readonly type: string; readonly data: string };

/** As the HTML standard reads an event stream. */
function parse(bytes: Uint8Array): Event[] {
  const events: Event[] = [];
  let type = "";
  let data: string[] = [];
  for (const line of Buffer.from(bytes)
    .toString("utf8")
    .split(/\r\n|\n|\r/)) {
    if (line === "") {
      if (data.length > 0) events.push({ type, data: data.join("\n") });
      type = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (line.slice(0, colon) === "event") type = value;
    if (line.slice(0, colon) === "data") data.push(value);
  }
  return events;
}

describe("data events", () => {
  it("carry text as it is, but for the kind of its line breaks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", " ", "\n", "\r", "\r\n", ":", "event: control", "data: {}", "ä"), {
          maxLength: 30,
        }),
        (parts) => {
          const payload = parts.join("");
          fc.pre(payload !== "");
          expect(parse(dataEvent(utf8(payload), "text/plain"))).toEqual([
            { type: "data", data: payload.replace(/\r\n|\r/g, "\n") },
          ]);
        },
      ),
    );
  });

  it("carry JSON as one array", () => {
    const event = dataEvent(utf8('[{"a":\n1},2]'), "application/json");
    expect(parse(event)).toEqual([{ type: "data", data: '[{"a":\n1},2]' }]);
  });

  it("carry anything else in base64", () => {
    const [event] = parse(dataEvent(new Uint8Array([0, 10, 13, 255]), "application/octet-stream"));
    expect(Buffer.from(event?.data ?? "", "base64")).toEqual(Buffer.from([0, 10, 13, 255]));
  });
});

describe("control events", () => {
  it("hold one line of JSON", () => {
    const event = controlEvent({ streamNextOffset: "1_2", streamCursor: "5", upToDate: true });
    expect(parse(event)).toEqual([
      { type: "control", data: '{"streamNextOffset":"1_2","streamCursor":"5","upToDate":true}' },
    ]);
  });
});
