/**
 * The end of a turn in a simulated world: all that can happen without time moving has happened. Nothing there waits for
 * anything but microtasks, and a tick comes behind all of those. It is much cheaper than a turn of the real loop, of
 * which there are only so many that signals, a runner's timers and promises that nobody handles come to be heard.
 */

const TICKS_PER_REAL_TURN = 32;

let ticks = 0;

export function endOfTurn(): Promise<void> {
  ticks = (ticks + 1) % TICKS_PER_REAL_TURN;
  return new Promise((resolve) => {
    if (ticks === 0) setImmediate(resolve);
    else process.nextTick(resolve);
  });
}
