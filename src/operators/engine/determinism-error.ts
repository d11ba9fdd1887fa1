/** A callback reached for what differs between replicas: the clock, randomness, timers, the network, a promise. */
export class DeterminismError extends Error {
  override readonly name = "DeterminismError";

  /** `instead`: what gives the same to every replica. */
  constructor(operator: string, what: string, instead: string) {
    super(`operator "${operator}" used ${what}, which differs between replicas; ${instead}`);
  }
}
