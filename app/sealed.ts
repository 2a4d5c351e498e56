import type { Db } from "#core/db/db.ts";
import { createReseal, type Reseal, type SealedTable } from "#core/db/reseal.ts";
import { sealedApiKeys } from "#core/http/credentials/tables.ts";
import { sealedAnswers } from "#core/http/idempotency/tables.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import { sealedAttempts } from "#core/sender/tables.ts";
import { sealedSecrets } from "#swap";
import type { Part } from "./lifecycle.ts";
import { sealedWords } from "./registry/tables.ts";
import { sealedTargets } from "./webhooks/target.ts";

/** Everything in the database that the sealing key is needed for. */
export const sealedTables: readonly SealedTable[] = [
  ...[sealedSecrets, sealedAttempts, sealedWords],
  ...[sealedApiKeys, sealedTargets, sealedAnswers],
];

export const createServiceReseal = (deps: { db: Db; sealer: Sealer }): Reseal =>
  createReseal({ ...deps, tables: sealedTables });

/**
 * Brings everything under the present key in the background. For a process that has its database to itself: one of
 * several might not know the new key yet, and then `keys rotate` is run once all do.
 */
export function createResealing(deps: { db: Db; sealer: Sealer; log: Log }): Part {
  const log = deps.log.child({ module: "reseal" });
  const reseal = createServiceReseal(deps);
  const ending = new AbortController();
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    const before = (await reseal.left()).filter(({ left }) => left > 0);
    if (before.length === 0) return;
    log.info({ tables: before }, "sealing rows under the present key");
    const tables = (await reseal.run({ signal: ending.signal })).filter(({ left }) => left > 0);
    if (tables.length === 0) log.info({}, "no row needs a previous sealing key any more");
    else if (!ending.signal.aborted) log.error({ tables }, "rows are left that are not sealed under the present key");
  }

  return {
    start() {
      running ??= run().catch((error: unknown) => log.error({ err: error }, "rows were not sealed anew"));
    },
    async stop() {
      ending.abort();
      await running;
    },
  };
}
