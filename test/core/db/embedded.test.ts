import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { after, afterEach, before, describe, it } from "node:test";
import { type EmbeddedDatabase, startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { quietLog as log } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const inUse = (error: unknown) => isLockstepError(error, "data-folder-in-use");

describe("embedded database", { timeout: 120_000 }, () => {
  let dataDir = "";
  const started: EmbeddedDatabase[] = [];
  const start = async (options: { patienceMs?: number } = {}) => {
    const database = await startEmbeddedDatabase({ log, dataDir, ...options });
    started.push(database);
    return database;
  };
  const connect = (connectionString: string) => createDb({ connectionString, schema: "public", log });
  const notes = async (db: PostgresDb) =>
    (await db.query<{ id: number }>("SELECT id FROM note ORDER BY id")).map((r) => r.id);

  before(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), "lockstep-db-")), "data");
    const database = await start();
    const db = connect(database.connectionString);
    await db.query("CREATE TABLE note (id int PRIMARY KEY)");
    await db.close();
    await database.close();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((database) => database.close()));
  });
  after(() => rm(join(dataDir, ".."), { recursive: true }));

  it("gives its folder to one process, and to the next one once the first has closed", async () => {
    const first = await start();
    await assert.rejects(start({ patienceMs: 100 }), (error) => inUse(error) && String(error).includes(dataDir));
    const next = start({ patienceMs: 20_000 });
    await first.close();
    await (await next).close();
  });

  it("keeps every answered commit when it is killed, and comes back by itself under the same address", async () => {
    const database = await start();
    const db = connect(database.connectionString);
    const heard: string[] = [];
    await db.listen("note", (payload) => heard.push(payload));
    const written: number[] = [];
    const writing = (async () => {
      for (let id = 1; ; id++) {
        await db.query("INSERT INTO note VALUES ($1)", [id]);
        written.push(id);
      }
    })();
    await until(() => written.length > 100);
    process.kill(database.pid() ?? 0, "SIGKILL");
    await assert.rejects(writing, (error) => isLockstepError(error, "database-unreachable"));

    const found = await until(() => notes(db).catch(() => undefined), "the restart");
    assert.deepEqual(found.slice(0, written.length), written);
    await until(() => heard.includes(""), "the listener's reconnection");
    await db.query("NOTIFY note, 'again'");
    await until(() => heard.includes("again"));
    await db.query("DELETE FROM note");
    await db.close();
    await database.close();
  });

  it("ends with a killed parent, loses nothing, and frees the folder", async () => {
    const script = `
      import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
      import { createLog } from "#core/observe/log.ts";
      const log = createLog({ level: "silent", name: "parent" });
      const database = await startEmbeddedDatabase({ log, dataDir: process.argv[1] });
      console.log(database.connectionString);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script, dataDir], {
      cwd: new URL("../../..", import.meta.url),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: parent.stdout });
    const connectionString = await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve);
      lines.once("close", () => reject(new Error("the parent ended by itself")));
    });
    lines.close();
    const db = connect(connectionString);
    await db.query("INSERT INTO note SELECT generate_series(1, 50)");
    parent.kill("SIGKILL");
    const database = await start({ patienceMs: 20_000 });
    await db.close();
    const again = connect(database.connectionString);
    assert.equal((await notes(again)).length, 50);
    await again.close();
    await database.close();
  });

  it("refuses strangers on its port, whatever they say", async () => {
    const database = await start();
    const url = new URL(database.connectionString);
    const stranger = connect(`postgres://postgres:wrong@${url.host}/postgres`);
    await assert.rejects(stranger.query("SELECT 1"), /password authentication failed/);
    await stranger.close();
    const socket = createConnection(Number(url.port), "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    await new Promise<void>((resolve) => socket.once("close", () => resolve()).resume());

    const db = connect(database.connectionString);
    assert.deepEqual(await db.query("SELECT 1 AS one"), [{ one: 1 }]);
    await db.close();
    await database.close();
  });

  it("gives the session back when a connection goes away in the middle of its transaction", async () => {
    const database = await start();
    const rude = connect(database.connectionString);
    const polite = connect(database.connectionString);
    await rude.query("CREATE TABLE t (id int)");
    const client = await rude.pool.connect();
    client.on("error", () => undefined);
    await client.query("BEGIN");
    await client.query("INSERT INTO t VALUES (1)");
    const waiting = polite.query("SELECT id FROM t");
    client.release(true);
    assert.deepEqual(await waiting, []);
    await Promise.all([rude.close(), polite.close()]);
    await database.close();
  });
});
