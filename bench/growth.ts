import { parseArgs } from "node:util";
import pg from "pg";
import { startPostgres } from "#test/support/postgresServers.ts";
import { type Cost, measureCosts } from "./growth/costs.ts";
import { cloneMessages, storedMessages } from "./growth/past.ts";
import { runBurst } from "./relay/burst.ts";
import { openWorld, type World } from "./relay/world.ts";

/** What one message and one swap cost while more and more messages are stored, on a PostgreSQL of its own that counts. */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    levels: { type: "string", default: "1000,100000,1000000" },
    /** So many are really sent; the others are copies in the database. */
    real: { type: "string", default: "10000" },
  },
});

const real = Number(values.real);
const server = await startPostgres();
let world: World | undefined;
let client: pg.Client | undefined;
try {
  await server.ask("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
  await server.ask("ALTER SYSTEM SET shared_buffers = '512MB'");
  await server.restart(0);
  world = await openWorld("postgres", { server: server.url });
  client = new pg.Client({ connectionString: new URL(world.database ?? "", server.url).href });
  await client.connect();
  await client.query("CREATE EXTENSION pg_stat_statements; SET search_path TO lockstep, public");
  await runBurst(world, 500);
  const costs: Cost[] = [];
  for (const level of values.levels.split(",").map(Number)) {
    for (let there = await storedMessages(client); there < level; there = await storedMessages(client)) {
      if (there < real) await runBurst(world, Math.min(real, level) - there);
      else await cloneMessages(client, world, level - there);
    }
    const cost = await measureCosts(client, world);
    console.error(JSON.stringify(cost));
    costs.push(cost);
  }
  if (values.json) console.log(JSON.stringify(costs));
  else console.table(costs);
} finally {
  await client?.end();
  await world?.close();
  await server.stop();
}
