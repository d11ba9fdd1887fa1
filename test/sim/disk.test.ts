import { SimDisk } from "../../src/sim/disk.ts";
import { describeDisk } from "../log/disk-contract.ts";

describeDisk("simulated", async () => ({ disk: new SimDisk(), dispose: async () => undefined }));
describeDisk("simulated, slow", async () => ({
  disk: new SimDisk({ pace: async () => void (await Promise.resolve()) }),
  dispose: async () => undefined,
}));
