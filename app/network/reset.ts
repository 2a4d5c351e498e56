import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createDb } from "#core/db/postgres.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createLog } from "#core/observe/log.ts";

/** The file that holds the folder for one process; it stays, since whoever calls this holds it. */
const lockFile = "lock";

/**
 * Deletes what an earlier local network left in its folder, keys included, and this project's tables where it used a
 * database of its own. Refuses a folder that no local network made, so that a slip of the hand deletes nothing else.
 */
export async function resetNetwork(dataDir: string, connectionString: string | undefined): Promise<void> {
  const entries = readdirSync(dataDir).filter((name) => !name.startsWith(lockFile));
  if (entries.length > 0 && !existsSync(join(dataDir, "network.json"))) {
    throw new LockstepError(
      "config-invalid",
      `--reset: ${dataDir} was not made by a local network, nothing was deleted`,
      {
        details: { field: "--data-dir" },
      },
    );
  }
  for (const name of entries) rmSync(join(dataDir, name), { recursive: true, force: true });
  if (connectionString) await dropTables(connectionString);
}

async function dropTables(connectionString: string): Promise<void> {
  const db = createDb({ connectionString, log: createLog({ level: "error", name: "reset" }) });
  try {
    await db.query("drop schema if exists lockstep cascade");
  } finally {
    await db.close();
  }
}
