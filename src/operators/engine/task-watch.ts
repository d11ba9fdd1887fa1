/**
 * Hears what a task is about to do, so that somebody can say where it was if that never returns. It is told of each record and each operator,
 * so it must be quick; it answers nothing, so no task can depend on it.
 */
export interface TaskWatch {
  /** A record comes in at the node with this place in the stage. */
  record(node: number, offset: number): void;
  /** A timer fires. */
  timer(): void;
  /** The node with this place in the stage runs. */
  node(number: number): void;
  /** The task has returned. */
  idle(): void;
}
