/**
 * Where Node keeps what processes of the tests have compiled: to load the sources of a server takes longer than to start
 * it, and the next process has it from there, as long as a file is the same.
 */
import { join } from "node:path";

export const COMPILE_CACHE: string = join(import.meta.dirname, "..", "node_modules/.cache/tidemark-test");
