import { createPostgresBackend as bullPostgres, isPgPool, Queue, runMigrations, Worker } from "bullmq";
import { createPool } from "../db/pool.ts";
import type { Log } from "../observe/log.ts";
import type { QueueBackend } from "./backend.ts";

/** The one schema BullMQ looks for with a pool that it did not make. */
const schema = "bullmq";

/** One connection per kind of job listens; the rest is shared. Opened as needed. */
const connections = 40;

/** BullMQ on PostgreSQL or the embedded database, on a pool of its own. */
export function createPostgresBackend(options: { connectionString: string; prefix: string; log: Log }): QueueBackend {
  const { connectionString, log } = options;
  const pool = createPool({ connectionString, schema, log, max: connections, name: "lockstep queue" });
  // Every queue and worker listens for its errors.
  pool.setMaxListeners(0);
  // The two packages' types of a listener differ; the guard looks at what is there.
  const connection: unknown = pool;
  if (!isPgPool(connection)) throw new TypeError("expected a pool of pg");
  // The backend has no key prefix.
  const named = (queue: string) => `${options.prefix}.${queue}`;
  let migrated: Promise<void> | undefined;

  const migrate = async () => {
    const client = await pool.connect();
    try {
      await runMigrations(client, schema);
    } finally {
      client.release();
    }
  };

  return {
    ready() {
      migrated ??= migrate().catch((error: unknown) => {
        migrated = undefined;
        throw error;
      });
      return migrated;
    },
    ask: () => pool.query("SELECT 1"),
    producer: (queue, rest) => new Queue(named(queue), { ...rest, connection }, bullPostgres),
    consumer: (queue, process, rest) => new Worker(named(queue), process, { ...rest, connection }, bullPostgres),
    async close() {
      await pool.end();
    },
  };
}
