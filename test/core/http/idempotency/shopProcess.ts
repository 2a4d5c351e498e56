import { createDb } from "#core/db/postgres.ts";
import { quietLog } from "#test/support/databases.ts";
import { openShop } from "./shop.ts";

/** A shop in a process of its own, which kills itself at the mark that it is told of. Says its address on stdout. */
const [connectionString = "", schema = "", crashAt = "", leaseMs = ""] = process.argv.slice(2);
const db = createDb({ connectionString, schema, log: quietLog });
const { app } = await openShop(db, {
  leaseMs: Number(leaseMs),
  mark: (point) => {
    if (point === crashAt) process.kill(process.pid, "SIGKILL");
  },
});
process.stdout.write(`${await app.listen({ host: "127.0.0.1", port: 0 })}\n`);
