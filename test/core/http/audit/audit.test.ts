import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { migrate } from "#core/db/migrate.ts";
import { auditRequests } from "#core/http/audit/auditRequests.ts";
import {
  type AuditEntry,
  type AuditRow,
  auditFields,
  auditStart,
  chainEntry,
  verifyAudit,
} from "#core/http/audit/chain.ts";
import { createAuditLog } from "#core/http/audit/log.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { createHttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import {
  type DatabaseBackend,
  embeddedDatabase,
  forEachDatabase,
  type OpenDatabase,
  quietLog,
  withDatabase,
} from "#test/support/databases.ts";

const key = redact(new Uint8Array(32).fill(9));

const entryOf = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  ...{ kind: "begun", request: "r", at: 1_700_000_000_000, caller: "key:ops", address: "192.0.2.1", method: "POST" },
  ...{ route: "/v1/things", params: null, idempotencyKey: null, body: "ab".repeat(32), status: null, code: null },
  ...{ durationMs: null, count: 1, ...change },
});

function chainOf(entries: readonly AuditEntry[]): AuditRow[] {
  const rows: AuditRow[] = [];
  for (const entry of entries) rows.push(chainEntry(rows.at(-1) ?? auditStart, entry));
  return rows;
}

const onAudit = (backend: DatabaseBackend, work: (database: OpenDatabase) => Promise<void>) =>
  withDatabase(backend, async (database) => {
    await migrate(database.db, auditMigrations);
    await work(database);
  });

const collect = async (rows: AsyncIterable<AuditRow>) => {
  const all: AuditRow[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

describe("the chain of the audit", () => {
  const text = fc.option(fc.string({ maxLength: 5 }), { nil: null });
  const number = fc.option(fc.nat(), { nil: null });
  const entry = fc
    .record({
      at: fc.nat(),
      caller: text,
      address: text,
      route: text,
      params: text,
      status: number,
      code: text,
      durationMs: number,
    })
    .map(entryOf);
  const chain = fc.array(entry, { minLength: 2, maxLength: 8 }).map(chainOf);
  const place = fc.nat(7);

  it("shows any change, deletion, insertion and reordering", async () => {
    const field = fc.constantFrom(...auditFields, "seq" as const, "hash" as const);
    const tampering = fc.oneof(
      fc.record({
        how: fc.constant("change" as const),
        field,
        value: fc.oneof(fc.string(), fc.nat(), fc.constant(null)),
      }),
      fc.record({ how: fc.constant("delete" as const) }),
      fc.record({ how: fc.constant("insert" as const), forged: entry, renumbered: fc.boolean() }),
      fc.record({ how: fc.constant("swap" as const), renumbered: fc.boolean() }),
      // Who can compute hashes, but cannot change what others have noted of the end.
      fc.record({ how: fc.constant("rewrite" as const), forged: entry }),
    );
    await fc.assert(
      fc.asyncProperty(chain, place, tampering, async (rows, at, tamper) => {
        const head = rows.at(-1) ?? auditStart;
        assert.deepEqual(await verifyAudit(rows, [head]), { seq: head.seq, hash: head.hash });
        const index = at % rows.length;
        const row = rows[index];
        if (!row) return;
        const forged = structuredClone(rows);
        if (tamper.how === "change") {
          fc.pre(JSON.stringify(row[tamper.field]) !== JSON.stringify(tamper.value));
          forged[index] = { ...row, [tamper.field]: tamper.value };
        } else if (tamper.how === "delete") {
          forged.splice(index, 1);
        } else if (tamper.how === "insert") {
          forged.splice(index, 0, chainEntry(rows[index - 1] ?? auditStart, tamper.forged));
        } else if (tamper.how === "swap") {
          const [one, two] = [index, (index + 1) % rows.length];
          [forged[one], forged[two]] = [structuredClone(rows[two]) as AuditRow, structuredClone(rows[one]) as AuditRow];
        } else {
          const entries: AuditEntry[] = forged.map((each, there) => (there === index ? tamper.forged : each));
          fc.pre(JSON.stringify(entryOf(row)) !== JSON.stringify(entryOf(tamper.forged)));
          forged.splice(0, forged.length, ...chainOf(entries));
        }
        if ("renumbered" in tamper && tamper.renumbered)
          for (const [there, each] of forged.entries()) Object.assign(each, { seq: there + 1 });
        const found = await verifyAudit(forged, [head]);
        assert.ok(found.broken, JSON.stringify(tamper));
      }),
      { numRuns: 400 },
    );
  });
});

await forEachDatabase("the audit", (backend) => {
  it("is one chain whatever writes to it at once, and is only added to", () =>
    onAudit(backend, async (database) => {
      const [one, two] = [
        createAuditLog({ db: database.db, keys: [key] }),
        createAuditLog({ db: database.another(), keys: [key] }),
      ];
      const writes = Array.from({ length: 60 }, (_, index) =>
        (index % 2 ? one : two).write(entryOf({ request: `${index}` })),
      );
      await Promise.all(writes);
      const head = await one.verify();
      assert.deepEqual([head.seq, head.broken], [60, undefined]);
      assert.equal(new Set((await collect(two.read())).map(({ request }) => request)).size, 60);
      for (const statement of [
        "UPDATE audit_log SET caller = 'nobody' WHERE seq = 7",
        "DELETE FROM audit_log WHERE seq = 60",
        "TRUNCATE audit_log",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
      ]) {
        await assert.rejects(database.db.query(statement), /only added to/, statement);
      }
      const page = await one.list({ caller: "key:ops", since: new Date(1) }, 10n, 3);
      assert.deepEqual(
        page.map(({ seq }) => seq),
        [9, 8, 7],
      );
      assert.deepEqual(await one.list({ caller: "another" }, undefined, 3), []);
      assert.deepEqual(await one.list({ until: new Date(1) }, undefined, 3), []);
    }));

  it("shows what who owns the database has done to it", () =>
    onAudit(backend, async (database) => {
      const { db } = database;
      const audit = createAuditLog({ db, keys: [key] });
      for (let index = 0; index < 5; index++) await audit.write(entryOf({ request: `${index}` }));
      const noted = await audit.verify();
      await db.query("ALTER TABLE audit_log DISABLE TRIGGER ALL");
      await db.query("UPDATE audit_log SET caller = 'nobody' WHERE seq = 2");
      assert.equal((await audit.verify()).broken?.seq, 2);
      await db.query("UPDATE audit_log SET caller = 'key:ops' WHERE seq = 2");
      assert.deepEqual(await audit.verify(), noted);
      await db.query("DELETE FROM audit_log WHERE seq = 5");
      assert.equal((await audit.verify()).broken?.seq, 5);
      const [last] = (await collect(audit.read())).slice(-1);
      await db.query("UPDATE audit_head SET seq = $1, hash = $2", [last?.seq, last?.hash]);
      assert.match((await audit.verify()).broken?.why ?? "", /seal/);
      assert.equal((await audit.verify([noted])).broken?.seq, 5, "and what somebody noted is missed without a seal");
      await audit.write(entryOf({ request: "later" }));
      assert.match((await audit.verify()).broken?.why ?? "", /seal/, "what follows does not make it ours again");
    }));

  it("goes on under another key, which those before it open", () =>
    onAudit(backend, async ({ db }) => {
      const next = redact(new Uint8Array(32).fill(8));
      await createAuditLog({ db, keys: [key] }).write(entryOf({ request: "before" }));
      const rotated = createAuditLog({ db, keys: [next, key] });
      assert.equal((await rotated.verify()).broken, undefined);
      assert.match((await createAuditLog({ db, keys: [next] }).verify()).broken?.why ?? "", /seal/);
      await rotated.reseal();
      assert.equal((await createAuditLog({ db, keys: [next] }).verify()).broken, undefined);
    }));
});

describe("requests in the audit", () => {
  async function open({ db }: OpenDatabase, work: () => Promise<object> = async () => ({})) {
    const audit = createAuditLog({ db, keys: [key] });
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    app.addHook("onRequest", async (request) => {
      const { caller } = request.headers;
      if (caller === undefined) throw new LockstepError("unauthorized", "who is it?");
      request.caller = { id: String(caller), role: "viewer" };
      if (caller === "viewer") throw new LockstepError("forbidden", "it takes more");
      if (caller === "busy") throw new LockstepError("rate-limited", "too many");
    });
    const { flush } = auditRequests(app, { audit, clock: systemClock, log: quietLog });
    const body = z.strictObject({ secret: z.string() });
    app.post("/v1/things/:name", { config: { access: "trader" }, schema: { body } }, work);
    app.get("/v1/things", { config: { access: "viewer" } }, async () => ({}));
    const ask = (
      headers: Record<string, string>,
      payload: object = { secret: "hunter2" },
      remoteAddress = "192.0.2.1",
    ) => app.inject({ method: "POST", url: "/v1/things/a", headers, payload, remoteAddress });
    const lines = () => collect(audit.read());
    return { app, audit, ask, lines, flush };
  }

  it("say who asked for what before it happens, and what came of it before the answer leaves", () =>
    onAudit(embeddedDatabase, async (database) => {
      const seen: string[] = [];
      const { app, ask, lines, audit } = await open(database, async () => {
        seen.push(...(await lines()).map(({ kind }) => kind));
        throw new LockstepError("balance-insufficient", "no");
      });
      const answer = await ask({ caller: "ops", "idempotency-key": "k" });
      assert.equal(answer.statusCode, 422);
      assert.deepEqual(seen, ["begun"]);
      const [begun, answered, ...rest] = await lines();
      assert.deepEqual(rest, []);
      assert.equal(begun?.request, answered?.request);
      const { caller, address, method, route, params } = begun ?? {};
      assert.deepEqual(
        [caller, address, method, route, params],
        ["ops", "192.0.2.1", "POST", "/v1/things/:name", '{"name":"a"}'],
      );
      assert.deepEqual([answered?.kind, answered?.status, answered?.code], ["answered", 422, "balance-insufficient"]);
      assert.match(begun?.body ?? "", /^[0-9a-f]{64}$/);
      assert.ok(!JSON.stringify(await lines()).includes("hunter2"));
      assert.notEqual(begun?.idempotencyKey, "k");
      await app.inject({ url: "/v1/things", headers: { caller: "ops" } });
      assert.equal((await lines()).length, 2, "what only reads is not in it");
      assert.equal((await audit.verify()).broken, undefined);
      await app.close();
    }));

  it("have no effect where they cannot be written down", () =>
    onAudit(embeddedDatabase, async (database) => {
      let effects = 0;
      const { app, ask } = await open(database, async () => ({ effects: ++effects }));
      await database.db.query("ALTER TABLE audit_log RENAME TO gone");
      assert.equal((await ask({ caller: "ops" })).statusCode, 500);
      assert.equal(effects, 0);
      await app.close();
    }));

  it("that are refused are in it, and cannot fill the disk where nobody known sent them", () =>
    onAudit(embeddedDatabase, async (database) => {
      const { app, ask, lines, flush } = await open(database);
      await ask({ caller: "viewer" });
      await ask({ caller: "ops" }, { wrong: 1 });
      assert.deepEqual(
        (await lines()).map(({ kind, caller, status, code }) => [kind, caller, status, code]),
        [
          ["refused", "viewer", 403, "forbidden"],
          ["refused", "ops", 400, "request-invalid"],
        ],
      );
      for (let index = 0; index < 200; index++) await ask({}, {}, `198.51.100.${index}`);
      for (let index = 0; index < 100; index++) await ask({ caller: "busy" });
      assert.equal((await lines()).length, 2);
      await flush();
      const counted = (await lines()).slice(2);
      assert.ok(counted.length <= 52, `${counted.length} lines`);
      assert.equal(
        counted.reduce((sum, { count }) => sum + count, 0),
        300,
        "none is forgotten",
      );
      await flush();
      assert.equal((await lines()).length, counted.length + 2);
      await app.close();
    }));
});
