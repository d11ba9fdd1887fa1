/**
 * Whether an operator has drained this node, and who is to hear of it: the faces, which send their live readers to other nodes.
 * It is not drained before another one leads, nor after that is undone, or in another life of it.
 */
export class Drain {
  readonly #listeners = new Set<() => void>();
  #on = false;

  /** Whoever would read live here is to ask another node. */
  get on(): boolean {
    return this.#on;
  }

  begin(): void {
    this.#on = true;
    for (const listener of this.#listeners) listener();
  }

  end(): void {
    this.#on = false;
  }

  /** Each time that it is drained. Returns how to stop listening. */
  onBegin(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
