/**
 * How many bytes a reader wants to be sent. What is sent may go beyond it by one batch; that is owed. Bounded, whatever
 * is granted.
 */
export class Credit {
  readonly #bytesMax: number;
  #bytes: number;
  #onGranted: (() => void) | undefined;

  constructor(bytes: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytes = Math.min(bytes, bytesMax);
  }

  get bytes(): number {
    return this.#bytes;
  }

  grant(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, this.#bytesMax);
    if (this.#bytes > 0) this.wake();
  }

  use(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Resolves when there is some again, or when it is woken. One waits at a time. */
  granted(): Promise<void> {
    return new Promise((resolve) => {
      this.#onGranted = resolve;
    });
  }

  wake(): void {
    this.#onGranted?.();
    this.#onGranted = undefined;
  }
}
