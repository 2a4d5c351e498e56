import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";

export type FolderLock = { release(): void };

const pollMs = 50;

/**
 * Takes a folder for this process alone. The lock is the operating system's, on a file, by way of SQLite: it ends with
 * the process however that ends, and leaves nothing behind that could be mistaken for a lock. Waits `patienceMs` for
 * a predecessor that is still closing, then throws `data-folder-in-use`.
 */
export async function lockFolder(folder: string, options: { patienceMs: number; clock: Clock }): Promise<FolderLock> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const deadline = options.clock.now() + options.patienceMs;
  for (;;) {
    const lock = tryLock(join(folder, "lock"));
    if (lock) return lock;
    if (options.clock.now() >= deadline) {
      throw new LockstepError("data-folder-in-use", `Another process works on the data folder ${folder}`, {
        details: { folder },
      });
    }
    await options.clock.sleep(pollMs);
  }
}

function tryLock(file: string): FolderLock | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("BEGIN EXCLUSIVE");
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (error instanceof Error && "errcode" in error && error.errcode === 5) return undefined;
    throw error;
  }
}

/** True while some process has the folder; looks without taking it, and makes nothing. */
export function isFolderHeld(folder: string): boolean {
  const file = join(folder, "lock");
  if (!existsSync(file)) return false;
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
  try {
    database.prepare("SELECT count(*) FROM sqlite_master").get();
    return false;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === 5) return true;
    throw error;
  } finally {
    database.close();
  }
}
