/** A process that takes a folder's lock when told to, says whether it got it, and keeps it until it is killed. */
import { DirectoryLock } from "../../log-server/log/disk/directory-lock.ts";

const directory = process.argv[2];
if (directory === undefined) throw new Error("the folder to lock");
process.stdout.write("here\n");
process.stdin.once("data", () => {
  const lock = DirectoryLock.acquire(directory);
  process.stdout.write(lock.ok ? "won\n" : `${lock.error.kind}\n`);
});
