/** `tidemark/server`: what programs that run a server inside themselves may use, and all of it. */
export { startNode, type RunningNode, type StartOptions } from "./start-node.ts";
