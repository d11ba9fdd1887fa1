/** The checker of whole clusters, checked: each anomaly it is there for is found, and a history without one passes. */
import { beforeEach, describe, expect, it } from "vitest";
import { Violation } from "../history.ts";
import { type Sent, StreamHistory } from "./stream-history.ts";

let history: StreamHistory;
let sent: readonly Sent[];
const TEXTS = ["a", "b", "c"] as const;

beforeEach(() => {
  history = new StreamHistory("s");
  history.session("p", true);
  sent = TEXTS.map((text) => history.sent("p", text));
});

function acknowledged(...offsets: readonly number[]): void {
  offsets.forEach((offset, at) => history.acknowledged(sent[at] as Sent, offset));
}

describe("a history that keeps its promises passes", () => {
  it("with everything there", () => {
    acknowledged(0, 1, 2);
    expect(() => history.judge(TEXTS, 0, "n1")).not.toThrow();
  });

  it("with what somebody asked to be trimmed gone, acknowledged or not", () => {
    acknowledged(0, 1, 2);
    history.trimAsked(2);
    expect(() => history.judge(["b", "c"], 1, "n1")).not.toThrow();
    history.trimmed(2, "a trim's answer");
    expect(() => history.judge(["c"], 2, "n1")).not.toThrow();
  });

  it("with what is not known there or not", () => {
    acknowledged(0, 1);
    history.failed(sent[2] as Sent, "unknown");
    expect(() => history.judge(TEXTS, 0, "n1")).not.toThrow();
    expect(() => history.judge(["a", "b"], 0, "n1")).toThrow("I6");
  });
});

describe("a broken promise is found", () => {
  it.each<[string, RegExp, () => void]>([
    ["an acknowledged record that is gone", /I5/, () => history.judge(["a", "b"], 0, "n1")],
    ["one that is there twice", /I8/, () => history.judge(["a", "b", "c", "a"], 0, "n1")],
    ["another at its offset", /I6/, () => history.saw(1, "c", "a reader")],
    ["one that nobody sent", /I6/, () => history.saw(3, "d", "a reader")],
    ["an order that is not the sender's", /I6/, () => history.judge(["b", "a", "c"], 0, "n1")],
    ["records gone that nobody trimmed", /I6/, () => history.judge(["b", "c"], 1, "n1")],
    ["a gap that nobody trimmed", /I6/, () => history.trimmed(1, "a reader")],
    ["a read behind what was known when it was asked", /P12/, () => history.tailShown(2, history.floor, "a reader")],
    ["a session that goes back", /P12/, () => history.tailShownTo(1, 2, "a session")],
  ])("%s", (_name, invariant, act) => {
    acknowledged(0, 1, 2);
    expect(act).toThrow(expect.objectContaining({ constructor: Violation, message: expect.stringMatching(invariant) }));
  });

  it("what was trimmed is there again", () => {
    acknowledged(0, 1, 2);
    history.trimAsked(2);
    history.trimmed(2, "a trim's answer");
    expect(() => history.judge(["b", "c"], 1, "n1")).toThrow("I6");
  });

  it("what was shown to anybody, now or by an old answer, is gone", () => {
    history.tailShownTo(1, 0, "somebody");
    sent.forEach((one) => history.failed(one, "unknown"));
    expect(() => history.judge([], 0, "n1")).toThrow("I5");
  });

  it("what was refused is there", () => {
    history.failed(sent[0] as Sent, "not-applied");
    expect(() => history.judge(["a"], 0, "n1")).toThrow("I8");
  });

  it("somebody was never answered", () => {
    expect(() => history.judge([], 0, "n1")).toThrow("never answered");
  });
});
