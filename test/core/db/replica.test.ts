import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import type { Queryable } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { noPosition, parsePosition } from "#core/db/position.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { createReads, type ReadPlace } from "#core/db/reads.ts";
import { createReplica, type Replica, type ReplicaState } from "#core/db/replica.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createRoutedStore } from "#core/events/routedStore.ts";
import { positionHeader } from "#core/http/positionHeader.ts";
import { createPositions } from "#core/http/positions.ts";
import { defineRoute } from "#core/http/route.ts";
import { serve } from "#core/http/serve.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { quietLog } from "#test/support/databases.ts";
import { type PostgresServer, startPostgres, startReplica } from "#test/support/postgresServers.ts";
import { hasProgram } from "#test/support/servers.ts";
import { startTcpProxy } from "#test/support/tcpProxy.ts";
import { until } from "#test/support/until.ts";

const access = "viewer" as const;
const thing = { params: z.object({ id: z.string() }), access, tag: "t", summary: "s" };
const things = z.object({ values: z.array(z.string()) });
const schemas = { ThingAdded: z.strictObject({ value: z.string() }) };
const [get, add] = [
  defineRoute({ ...thing, method: "GET", url: "/v1/things/:id", answer: things }),
  defineRoute({ ...thing, method: "POST", url: "/v1/things/:id", answer: things }),
];
const getEvents = defineRoute({ ...thing, method: "GET", url: "/v1/things/:id/events", answer: things });

/** One process of a service: rows and events of things, by way of the replica where that is allowed. */
async function openProcess(primary: PostgresServer, replicaUrl: string, patienceMs = 50) {
  const db = createDb({ connectionString: primary.url, log: quietLog });
  const options = { mostLagMs: 4_000, patienceMs, lookMs: 50, schema: db.schema, log: quietLog, clock: systemClock };
  let looks = 0;
  const watched: Queryable = {
    query: (text, params) => {
      looks++;
      return db.query(text, params);
    },
  };
  const replica = createReplica({ ...options, connectionString: replicaUrl, primary: watched });
  /** Resolves once the primary was seen as it is now: the look after the one that may be under way has ended. */
  const looked = async () => {
    const enough = looks + 2;
    await until(() => looks >= enough, "the primary was looked at");
  };
  const places: ReadPlace[] = [];
  const reads = createReads({ primary: db, replica, onRead: (place) => void places.push(place) });
  const own = { ...db, ...replica.db };
  const store = createEventStore({ db, schemas, log: quietLog });
  const routed = createRoutedStore({
    reads,
    primary: { store, db },
    replica: { store: createEventStore({ db: own, schemas, log: quietLog }), db: own },
  });
  const positions = createPositions(reads);
  const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
  app.addHook("onRequest", async (request) => {
    request.caller = { id: String(request.headers.authorization), role: "viewer" };
  });
  positions.attach(app);
  const rows = async (id: string) => {
    const found = await reads.db.query<{ value: string }>("SELECT value FROM things WHERE id = $1 ORDER BY n", [id]);
    return { values: found.map(({ value }) => value) };
  };
  serve(app, get, ({ params: { id } }) => rows(id));
  serve(app, getEvents, async ({ params: { id } }) => {
    const events = await routed.load<{ type: "ThingAdded"; data: { value: string } }>(reads.db, id);
    return { values: events.map(({ data }) => data.value) };
  });
  serve(app, add, async ({ params: { id } }) => {
    const value = String((await rows(id)).values.length);
    await db.tx(async (tx) => {
      await tx.query("INSERT INTO things (id, value) VALUES ($1, $2)", [id, value]);
      await store.append(tx, [{ stream: id, expected: "any", events: [{ type: "ThingAdded", data: { value } }] }]);
    });
    return rows(id);
  });
  replica.start();
  const close = async () => {
    await app.close();
    await replica.stop();
    await db.close();
  };
  return { app, replica, places, positions, db, looked, close };
}

type Process = Awaited<ReturnType<typeof openProcess>>;

const isAt = (replica: Replica, wanted: ReplicaState) =>
  until(() => replica.status().state === wanted, `a replica that is ${wanted}`, 20_000);

async function ask(app: HttpServer, request: { method?: "GET" | "POST"; id: string; who: string; header?: string }) {
  const { method = "GET", id, who, header } = request;
  const headers = { authorization: who, ...(header !== undefined && { [positionHeader]: header }) };
  const answer = await app.inject({ method, url: `/v1/things/${id}`, headers });
  assert.equal(answer.statusCode, 200, answer.body);
  return { values: answer.json().values as string[], header: String(answer.headers[positionHeader]) };
}

const without = !hasProgram("pg_basebackup", "postgres") && "there are no programs of PostgreSQL";

describe("reads with a replica", { skip: without, timeout: 240_000 }, () => {
  let primary: PostgresServer;
  let replicaServer: PostgresServer;
  let [one, two] = [undefined, undefined] as unknown as [Process, Process];
  const servers: PostgresServer[] = [];

  before(async () => {
    primary = await startPostgres();
    servers.push(primary);
    const db: PostgresDb = createDb({ connectionString: primary.url, log: quietLog });
    await migrate(db, eventMigrations);
    await db.query("CREATE TABLE things (n bigint GENERATED ALWAYS AS IDENTITY, id text, value text)");
    await db.close();
    replicaServer = await startReplica(primary);
    servers.push(replicaServer);
    one = await openProcess(primary, replicaServer.url);
    two = await openProcess(primary, replicaServer.url);
    for (const each of [one, two]) await isAt(each.replica, "used");
  });
  after(async () => {
    for (const each of [one, two]) await each?.close();
    for (const each of servers.toReversed()) await each.stop();
  });

  const paused = async (work: () => Promise<void>) => {
    await replicaServer.ask("SELECT pg_wal_replay_pause()");
    await until(async () => {
      const [row] = await replicaServer.ask<{ state: string }>("SELECT pg_get_wal_replay_pause_state() AS state");
      return row?.state === "paused";
    });
    try {
      await work();
    } finally {
      await replicaServer.ask("SELECT pg_wal_replay_resume()");
      const [end] = await primary.ask<{ lsn: string }>("SELECT pg_current_wal_flush_lsn() AS lsn");
      await until(async () => {
        const reached = `SELECT pg_last_wal_replay_lsn() >= '${end?.lsn}' AS reached`;
        return (await replicaServer.ask<{ reached: boolean }>(reached))[0]?.reached;
      }, "a replica that has everything that anybody was shown");
      for (const each of [one, two]) await isAt(each.replica, "used");
      for (const each of [one, two]) await each.looked();
    }
  };

  it("go to the replica, and commands and what they answer to the primary", async () => {
    const { values, header } = await ask(one.app, { method: "POST", id: "a", who: "alice" });
    assert.deepEqual(values, ["0"]);
    await until(async () => {
      two.places.length = 0;
      await ask(two.app, { id: "a", who: "alice", header });
      return two.places.join() === "replica";
    });
    await assert.rejects(one.replica.db.query("INSERT INTO things (id, value) VALUES ('x', 'y')"), /read-only/);
  });

  it("show a caller what it has done, at any process, while the replica stands still", () =>
    paused(async () => {
      const { header } = await ask(one.app, { method: "POST", id: "b", who: "alice" });
      assert.deepEqual((await ask(two.app, { id: "b", who: "alice", header })).values, ["0"]);
      assert.deepEqual((await ask(one.app, { id: "b", who: "alice" })).values, ["0"], "its process remembers");
      // Somebody else who knows of nothing is shown the past: the replica is what is read.
      assert.deepEqual((await ask(two.app, { id: "b", who: "bob" })).values, []);
    }));

  it("never go back in time for who sends back what it was told", () =>
    paused(async () => {
      await ask(one.app, { method: "POST", id: "c", who: "alice" });
      const seen = await ask(one.app, { id: "c", who: "alice" });
      assert.deepEqual(seen.values, ["0"]);
      const later = await ask(two.app, { id: "c", who: "bob", header: seen.header });
      assert.deepEqual(later.values, ["0"]);
      const old = await ask(two.app, { id: "c", who: "carol" });
      assert.deepEqual(old.values, []);
      assert.ok((parsePosition(old.header)?.event ?? 0n) < (parsePosition(seen.header)?.event ?? 0n));
    }));

  it("show what an event was about to who was told of it, by its id alone", () =>
    paused(async () => {
      const { header } = await ask(one.app, { method: "POST", id: "d", who: "alice" });
      const event = parsePosition(header)?.event ?? 0n;
      assert.deepEqual((await ask(two.app, { id: "d/events", who: "bob" })).values, []);
      const told = await ask(two.app, { id: "d/events", who: "bob", header: `0.${event}` });
      assert.deepEqual(told.values, ["0"]);
      two.positions.note({ id: "carol" }, { log: 0n, event });
      assert.deepEqual((await ask(two.app, { id: "d", who: "carol" })).values, ["0"]);
    }));

  it("keep nothing of the primary in memory for what is read at the replica", () =>
    paused(async () => {
      const { header } = await ask(one.app, { method: "POST", id: "e", who: "alice" });
      assert.deepEqual((await ask(one.app, { id: "e/events", who: "alice", header })).values, ["0"]);
      assert.deepEqual((await ask(one.app, { id: "e/events", who: "dave" })).values, []);
    }));

  it("wait a moment for a replica that is about to have it", async () => {
    const patient = await openProcess(primary, replicaServer.url, 30_000);
    await isAt(patient.replica, "used");
    await paused(async () => {
      const { header } = await ask(one.app, { method: "POST", id: "f", who: "alice" });
      await patient.looked();
      const asked = ask(patient.app, { id: "f", who: "alice", header });
      await replicaServer.ask("SELECT pg_wal_replay_resume()");
      assert.deepEqual((await asked).values, ["0"]);
      assert.deepEqual(patient.places, ["replica"]);
    }).finally(patient.close);
  });

  it("wait for nothing that the primary is not known to have, and make nobody else do without for it", async () => {
    const patient = await openProcess(primary, replicaServer.url, 30_000);
    await isAt(patient.replica, "used");
    try {
      const [highLog, highEvent] = ["9223372036854775806.0", "0.9223372036854775806"];
      for (const header of [highLog, highEvent]) {
        const begun = performance.now();
        assert.deepEqual((await ask(patient.app, { id: "a", who: "mallory", header })).values, ["0"]);
        assert.ok(performance.now() - begun < 10_000);
        assert.equal(patient.places.at(-1), "primary");
      }
      await paused(async () => {
        const { header } = await ask(one.app, { method: "POST", id: "i", who: "alice" });
        await patient.looked();
        await ask(patient.app, { id: "a", who: "mallory", header: highLog });
        const asked = ask(patient.app, { id: "i", who: "alice", header });
        await replicaServer.ask("SELECT pg_wal_replay_resume()");
        assert.deepEqual((await asked).values, ["0"]);
        assert.equal(patient.places.at(-1), "replica");
      });
    } finally {
      await patient.close();
    }
  });

  it("leave a replica that lags without end", () =>
    paused(async () => {
      await ask(one.app, { method: "POST", id: "g", who: "alice" });
      await isAt(two.replica, "lagging");
      assert.ok((two.replica.status().lagMs ?? 0) > 1_000);
      assert.deepEqual((await ask(two.app, { id: "g", who: "erin" })).values, ["0"]);
    }));

  it("refuse a header that is none, and believe none that is too high", async () => {
    const headers = { authorization: "alice", [positionHeader]: "soon" };
    const answer = await one.app.inject({ url: "/v1/things/a", headers });
    assert.deepEqual([answer.statusCode, answer.json().field], [400, positionHeader]);
    const high = await ask(one.app, { id: "a", who: "frank", header: "999999999999999999.1" });
    assert.deepEqual(high.values, ["0"]);
    assert.ok((parsePosition(high.header)?.log ?? 0n) < 10n ** 12n);
  });

  it("fail for nobody while the replica hangs, dies and comes back", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: replicaServer.port });
    const third = await openProcess(primary, replicaServer.url.replace(String(replicaServer.port), String(proxy.port)));
    await isAt(third.replica, "used");
    let failed = 0;
    let asked = 0;
    let isOver = false;
    const reader = (async () => {
      while (!isOver) {
        asked++;
        await ask(third.app, { id: "a", who: `reader ${asked % 7}` }).catch(() => failed++);
      }
    })();
    try {
      proxy.hang();
      await isAt(third.replica, "away");
      assert.ok(third.places.includes("fallback"), "one was under way");
      proxy.goOn();
      await isAt(third.replica, "used");
      await replicaServer.end("SIGQUIT");
      await isAt(third.replica, "away");
      await replicaServer.begin();
      for (const { replica } of [two, third]) await isAt(replica, "used");
    } finally {
      isOver = true;
      await reader;
      await third.close();
      await proxy.close();
    }
    assert.equal(failed, 0, `${failed} of ${asked}`);
  });

  it("do not go to another database", async () => {
    const other = await startPostgres();
    const wrong = await openProcess(primary, other.url);
    const same = await openProcess(primary, primary.url);
    try {
      await other.ask("CREATE SCHEMA lockstep; CREATE TABLE lockstep.event_counter AS SELECT 0::bigint AS position");
      await isAt(wrong.replica, "foreign");
      await isAt(same.replica, "promoted");
      for (const { app } of [wrong, same]) assert.deepEqual((await ask(app, { id: "a", who: "x" })).values, ["0"]);
    } finally {
      for (const each of [wrong, same]) await each.close();
      await other.stop();
    }
  });

  it("leave a replica that was promoted", async () => {
    await replicaServer.ask("SELECT pg_promote()");
    await isAt(two.replica, "promoted");
    await replicaServer.ask("INSERT INTO lockstep.things (id, value) VALUES ('h', 'of another world')");
    assert.equal(await two.replica.admits(noPosition), false);
    assert.deepEqual((await ask(two.app, { id: "h", who: "gina" })).values, []);
  });
});
