/**
 * A number that clients move on by one, each only from the value it expects: a register with compare-and-set. Nobody moves
 * it from a value from which another has moved it (I9), it never goes back, and who asks after a move sees it (P12–P14).
 */
import { Violation } from "../history.ts";

type Move = { readonly from: number; readonly by: string; outcome: "open" | "applied" | "not-applied" | "unknown" };

export class CounterHistory {
  readonly name: string;
  readonly #moves: Move[] = [];
  #floor = 0;
  /** The greatest that anybody was shown. */
  #newest = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Who asks now is shown this much at least. */
  get floor(): number {
    return this.#floor;
  }

  asked(from: number, by: string): Move {
    const move: Move = { from, by, outcome: "open" };
    this.#moves.push(move);
    return move;
  }

  settled(move: Move, outcome: "applied" | "not-applied" | "unknown"): void {
    move.outcome = outcome;
    if (outcome !== "applied") return;
    const other = this.#moves.find((one) => one !== move && one.from === move.from && one.outcome === "applied");
    if (other !== undefined)
      throw new Violation(`I9: ${move.by} and ${other.by} both moved ${this.name} from ${move.from}`);
    this.#floor = Math.max(this.#floor, move.from + 1);
  }

  shown(value: number, floor: number, by: string): void {
    if (value < floor)
      throw new Violation(`P12: ${by} was shown ${this.name} at ${value}, which was at ${floor} before it asked`);
    this.#floor = Math.max(this.#floor, value);
  }

  /** An answer that need not be of now, to whom `floor` was shown before. */
  shownTo(value: number, floor: number, who: string): void {
    if (value < floor)
      throw new Violation(`P12: ${who} is shown ${this.name} at ${value}, and was shown ${floor} before`);
    this.#newest = Math.max(this.#newest, value);
  }

  /** What a node has in the end: each step was made by somebody who may have made it. */
  judge(value: number, where: string): void {
    const known = Math.max(this.#floor, this.#newest);
    if (value < known) throw new Violation(`I6: ${where} has ${this.name} at ${value}; ${known} was known`);
    for (let from = 0; from < value; from += 1) {
      const able = this.#moves.some((move) => move.from === from && move.outcome !== "not-applied");
      if (!able) throw new Violation(`I9: ${where} has ${this.name} at ${value}, and nobody moved it from ${from}`);
    }
  }
}
