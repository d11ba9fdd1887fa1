/**
 * Puts what was shipped (`incoming.ts`) in the place of the log, once that was decided: at a start, before anything of the log
 * is opened. The list of files under the name `install` is the decision. Whatever a crash interrupts is done again from the
 * beginning, each step being of no effect where it was done; so a crash leaves the old log or the new one (I13).
 *
 * Hard state stays: what this node voted it voted.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Disk } from "../../../src/ports/disk.ts";
import type { Kv } from "../../../src/ports/kv.ts";
import { pathOf } from "./holds.ts";
import { listOf, readSmall } from "./incoming.ts";
import { trustAgain } from "../distrust.ts";
import type { LogLayout } from "../log-layout.ts";
import { forgetNewest } from "../segments/newest-segment.ts";
import { decodeShipment, type Shipment } from "./shipment.ts";

export type InstallFault = { readonly kind: "install-damaged"; readonly message: string };

/** What was installed; undefined if nothing was to be. */
export async function finishInstall(
  disk: Disk,
  kv: Kv,
  layout: LogLayout,
): Promise<Result<Shipment | undefined, InstallFault>> {
  const { incoming } = layout;
  const decision = `${incoming.root}/install`;
  const bytes = await readSmall(disk, decision);
  if (bytes === undefined) return ok(undefined);
  const shipment = decodeShipment(bytes);
  // Half of it may be done: what is there is neither log (I13).
  if (shipment === undefined)
    return err({
      kind: "install-damaged",
      message: `${decision} does not match its hash: what it was to finish is not known`,
    });
  const targets = new Set(shipment.files.map((file) => pathOf(layout, file)));
  const directories = [layout.segments, layout.snapshots, layout.tails];
  for (const directory of directories) await disk.createDirectory(directory);
  await forgetNewest(disk, layout);
  await disk.syncDirectory(layout.root);
  const waiting = new Set<string>();
  for (const directory of [incoming.segments, incoming.snapshots])
    for (const name of await listOf(disk, directory)) waiting.add(`${directory}/${name}`);
  for (const directory of directories)
    for (const name of await disk.list(directory))
      if (!targets.has(`${directory}/${name}`)) await disk.remove(`${directory}/${name}`);
  // In place already where it does not wait any more; what it replaces may have had the same name.
  for (const file of shipment.files)
    if (waiting.delete(pathOf(incoming, file))) await disk.rename(pathOf(incoming, file), pathOf(layout, file));
  for (const path of waiting) await disk.remove(path);
  for (const directory of [...directories, incoming.segments, incoming.snapshots]) await disk.syncDirectory(directory);
  for (const file of shipment.files) {
    const path = pathOf(layout, file);
    const names = await disk.list(path.slice(0, path.lastIndexOf("/")));
    if (!names.includes(path.slice(path.lastIndexOf("/") + 1)))
      return err({ kind: "install-damaged", message: `${path} is missing: it was to be installed` });
  }
  // The image is of the old log.
  await kv.clear();
  await trustAgain(disk, layout);
  await disk.remove(decision);
  await disk.syncDirectory(incoming.root);
  return ok(shipment);
}
