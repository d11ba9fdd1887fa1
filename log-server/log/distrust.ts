/**
 * Says, durably, that the state which this disk holds is not to be believed: a majority has another. Image and snapshots were
 * made of it, and what made it differ may do so again when the entries are applied anew. What is shipped here and takes the
 * log's place ends it (`install.ts`), and nothing else.
 */
import type { Disk } from "../../src/ports/disk.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { createAnew } from "./disk/create-anew.ts";
import type { LogLayout } from "./log-layout.ts";

/** Whether there was a file: what is in it is for people. */
export async function isDistrusted(disk: Disk, layout: LogLayout): Promise<boolean> {
  const names = await disk.list(layout.root);
  return names.includes(nameOf(layout));
}

/** Durable when it resolves. */
export async function distrust(disk: Disk, layout: LogLayout, reason: string): Promise<void> {
  const file = await createAnew(disk, layout.distrusted);
  try {
    await file.write(0, [utf8(`${reason}\n`)]);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(layout.root);
}

/** It was replaced. */
export async function trustAgain(disk: Disk, layout: LogLayout): Promise<void> {
  if (!(await isDistrusted(disk, layout))) return;
  await disk.remove(layout.distrusted);
  await disk.syncDirectory(layout.root);
}

function nameOf({ root, distrusted }: LogLayout): string {
  return distrusted.slice(root.length + 1);
}
