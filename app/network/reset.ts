import { createDb } from "#core/db/postgres.ts";
import { createLog } from "#core/observe/log.ts";

/** Drops this project's tables and queue where an external database is used; the embedded one goes with its folder. */
export async function resetDatabase(connectionString: string | undefined): Promise<void> {
  if (connectionString === undefined) return;
  const db = createDb({ connectionString, log: createLog({ level: "error", name: "reset" }) });
  try {
    await db.query("drop schema if exists lockstep cascade");
    await db.query("drop schema if exists bullmq cascade");
  } finally {
    await db.close();
  }
}
