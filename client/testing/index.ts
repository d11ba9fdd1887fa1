/**
 * For tests of topologies, `tidemark/testing`, and all of it: what is not named here may change. It needs neither a server nor a
 * test runner of a certain make.
 */
export { DifferenceError, TopologyDriver } from "./topology-driver.ts";
export { simulate, SimulationError, type SimulatedRecord, type SimulateOptions } from "./simulate.ts";
export type { SimulatedDigest, SimulatedRun } from "./simulation.ts";
export type { FaultName, FaultRates } from "./app-faults.ts";
export type { ReadRecord, WrittenRecord } from "./test-record.ts";
export { PoisonError } from "../../src/operators/run/topology-run.ts";
export type { Compared, Difference } from "../../src/operators/run/check-determinism.ts";
