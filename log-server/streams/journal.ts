/** What a transaction has done so far: for each change what undoes it, run newest first (I11); which apps begin anew in it; and what it is to do. */
import type { AppName } from "../../src/wire/app-command.ts";
import type { TransactionOperation } from "../../src/wire/command.ts";

export class Journal {
  readonly #undo: (() => void)[] = [];
  /** Their streams may go with what their tasks were. */
  readonly resetApps = new Set<AppName>();
  /** All of them take effect, or none. */
  readonly operations: readonly TransactionOperation[];

  constructor(operations: readonly TransactionOperation[]) {
    this.operations = operations;
  }

  record(undo: () => void): void {
    this.#undo.push(undo);
  }

  rollBack(): void {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) undo();
  }
}
