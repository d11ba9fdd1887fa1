/**
 * The command lines of `npm run bench`, `sim`, `chaos` and `fuzz`: with `--help`, and a mistake in them is a line on standard
 * error and exit status 2, not a stack.
 */
import { Command, InvalidArgumentError } from "commander";

const EXIT_USAGE = 2;

/** `name` is what comes behind `npm run`. */
export function script(name: string, about: string): Command {
  return new Command(`npm run ${name} --`)
    .description(about)
    .helpOption("-h, --help", "show this help")
    .showHelpAfterError(`(npm run ${name} -- --help says what there is)`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE));
}

/** For options that are whole numbers. */
export function wholeFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`It must be a whole number from ${least}.`);
    }
    return value;
  };
}

/** For options that are amounts. */
export function moreThanZero(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value === Number.POSITIVE_INFINITY)
    throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}
