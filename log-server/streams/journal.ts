/** What a transaction has done so far: for each change what undoes it, run newest first (I11); and which apps begin anew in it. */
import type { AppName } from "../../src/wire/app-command.ts";

export class Journal {
  readonly #undo: (() => void)[] = [];
  /** Their streams may go with what their tasks were. */
  readonly resetApps = new Set<AppName>();

  record(undo: () => void): void {
    this.#undo.push(undo);
  }

  rollBack(): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) undo();
  }
}
