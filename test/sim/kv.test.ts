/** The `Kv` contract on the simulated store. */
import { SimKv } from "../../src/sim/kv.ts";
import { describeKv } from "../log/kv-contract.ts";

describeKv("simulated", async () => {
  let kv = new SimKv();
  return {
    kv,
    reopen: async () => {
      await kv.close();
      kv = kv.crash();
      return kv;
    },
    dispose: () => kv.close(),
  };
});
