/**
 * For tests of topologies, `tidemark/testing`, and all of it: what is not named here may change. It needs neither a server nor a
 * test runner of a certain make.
 */
export { DifferenceError, TopologyDriver, type ReadRecord, type WrittenRecord } from "./topology-driver.ts";
export { PoisonError } from "../../src/operators/run/topology-run.ts";
export type { Difference } from "../../src/operators/run/check-determinism.ts";
