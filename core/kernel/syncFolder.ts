import { open } from "node:fs/promises";

/** Resolves once the names in a folder will survive a crash. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
