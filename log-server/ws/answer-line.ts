/**
 * Answers to commands in the order of the commands, whichever is known first: a client that pipelines may count on it.
 * Bounded by the commands a connection may have under way.
 */
import type { Response } from "../../src/wire/response.ts";

type Place = { response: Response | undefined; readonly bytes: number; readonly write: (response: Response) => void };

export class AnswerLine {
  readonly #places: Place[] = [];
  readonly #onDone: (bytes: number) => void;

  /** `onDone` hears of each answer that was written, with the bytes that its command had. */
  constructor(onDone: (bytes: number) => void) {
    this.#onDone = onDone;
  }

  /** `answer` never rejects. */
  add(answer: Promise<Response>, bytes: number, write: (response: Response) => void): void {
    const place: Place = { response: undefined, bytes, write };
    this.#places.push(place);
    void answer.then((response) => {
      place.response = response;
      if (this.#places[0] === place) this.#writeReady();
    });
  }

  #writeReady(): void {
    for (let next = this.#places[0]; next?.response !== undefined; next = this.#places[0]) {
      this.#places.shift();
      next.write(next.response);
      this.#onDone(next.bytes);
    }
  }
}
