import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { migrate } from "#core/db/migrate.ts";
import { createDb } from "#core/db/postgres.ts";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLongChain } from "#test/core/indexer/longChain.ts";
import { address } from "#test/core/indexer/modelChain.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

/**
 * What catching up costs the process that does it: CPU time, and the heap after each tenth of the way. The chain is a
 * model that answers at once, and the embedded database runs in a process of its own, so neither counts.
 */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const head = 200_000n;
const logEvery = 20n;

const { connectionString, close } = await startEmbeddedDatabase({ log: quietLog });
const db = createDb({ connectionString, log: quietLog });
await migrate(db, indexerMigrations);
const { chain, requests } = createLongChain({ head, logEvery, finalityBlocks: 10n, widest: 2_000n });
const heapMib: number[] = [];
let logs = 0;
const observer: ChainObserver = {
  addresses: () => [address],
  async included(_tx, _chain, blocks) {
    logs += blocks.length;
  },
  reorged: async () => undefined,
  async finalized(_tx, _chain, height) {
    if (height < (BigInt(heapMib.length + 1) * head) / 10n) return;
    collect();
    heapMib.push(Math.round((process.memoryUsage().heapUsed / 2 ** 20) * 10) / 10);
  },
};
const indexer = createIndexer({
  ...{ chain, db, observers: [observer], log: quietLog, clock: systemClock },
  config: { pollMs: 50, startBlock: 0, logWindow: 2_000, recheckMs: 60_000 },
});
const before = process.cpuUsage();
indexer.start();
await until(() => indexer.status().indexed === head, "all is read", 600_000);
await indexer.stop();
const { user, system } = process.cpuUsage(before);
await db.close();
await close();

const cpuSeconds = (user + system) / 1_000_000;
const figures = { blocks: Number(head), logs, requests: requests(), cpuSeconds, heapMib };
if (process.argv.includes("--json")) console.log(JSON.stringify(figures));
else console.table({ ...figures, heapMib: heapMib.join(" ") });
