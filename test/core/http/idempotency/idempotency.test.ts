import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import fc from "fast-check";
import { migrate } from "#core/db/migrate.ts";
import { idempotencyMigrations } from "#core/http/idempotency/tables.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import {
  type DatabaseBackend,
  embeddedDatabase,
  forEachDatabase,
  type OpenDatabase,
  withDatabase,
} from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { openShop, shopTables } from "./shop.ts";

type Answer = { status: number; body: string; replayed: boolean; retryAfter: string | undefined };

const onShop = (backend: DatabaseBackend, work: (database: OpenDatabase) => Promise<void>) =>
  withDatabase(backend, async (database) => {
    await migrate(database.db, [...idempotencyMigrations, { id: "shop/001-create", sql: shopTables }]);
    await work(database);
  });

const orders = ({ db }: OpenDatabase) =>
  db.query<{ id: string; item: string }>("SELECT id, item FROM orders ORDER BY place");
const codeOf = ({ body }: Answer): string => JSON.parse(body).code;

async function post(app: HttpServer, url: string, payload: object, headers: Record<string, string>): Promise<Answer> {
  const answer = await app.inject({ method: "POST", url, payload, headers });
  return {
    ...{ status: answer.statusCode, body: answer.body, replayed: answer.headers["idempotent-replayed"] === "true" },
    retryAfter: answer.headers["retry-after"]?.toString(),
  };
}

await forEachDatabase("Idempotency-Key", (backend) => {
  it("gives every repetition the first answer, to each caller its own, and keeps the answer sealed", () =>
    onShop(backend, async (database) => {
      const { app } = await openShop(database.db);
      const ask = (item: string, headers: Record<string, string>) => post(app, "/v1/orders", { item }, headers);
      const first = await ask("apple", { "idempotency-key": "k" });
      assert.deepEqual([first.status, first.replayed], [202, false]);
      const second = await ask("apple", { "idempotency-key": "k" });
      assert.deepEqual(second, { ...first, replayed: true });
      const other = await ask("apple", { "idempotency-key": "k", caller: "two" });
      assert.notEqual(other.body, first.body);
      for (const [url, body] of [
        ["/v1/orders", { item: "pear" }],
        ["/v1/shops/a/close", {}],
      ] as const) {
        const reused = await post(app, url, body, { "idempotency-key": "k" });
        assert.deepEqual([reused.status, codeOf(reused)], [409, "idempotency-key-reused"]);
      }
      await ask("apple", {});
      assert.equal((await orders(database)).length, 3);
      const [row] = await database.db.query<{ answer: Buffer }>("SELECT answer FROM idempotency_keys");
      assert.ok(row && !row.answer.includes("apple"));
      for (const key of ["", "x".repeat(256), "ümlaut"]) {
        const refused = await ask("apple", { "idempotency-key": key });
        assert.deepEqual([refused.status, codeOf(refused)], [400, "request-invalid"], key);
      }
      await app.close();
    }));

  it("leaves the key of a refused request as it was, and forgets keys whose time is over", () =>
    onShop(backend, async (database) => {
      const { app, keys } = await openShop(database.db);
      const key = { "idempotency-key": "k" };
      assert.equal((await post(app, "/v1/orders", { item: "none" }, key)).status, 422);
      const made = await post(app, "/v1/orders", { item: "apple" }, key);
      assert.equal(made.status, 202);
      await database.db.query("UPDATE idempotency_keys SET expires_at = now()");
      const later = await post(app, "/v1/orders", { item: "pear" }, key);
      assert.deepEqual([later.status, JSON.parse(later.body).item], [202, "pear"]);
      assert.notEqual(JSON.parse(later.body).id, JSON.parse(made.body).id);
      await database.db.query("UPDATE idempotency_keys SET expires_at = now()");
      keys.start();
      await until(async () => (await database.db.query("SELECT 1 FROM idempotency_keys")).length === 0);
      await keys.stop();
      await app.close();
    }));

  it("keeps the key of what has happened, though only a refusal came of it", () =>
    onShop(backend, async (database) => {
      const { app } = await openShop(database.db);
      const key = { "idempotency-key": "k" };
      for (let times = 0; times < 2; times++) {
        assert.equal((await post(app, "/v1/orders", { item: "unshown" }, key)).status, 409);
        assert.equal((await database.db.query("SELECT 1 FROM orders")).length, 1);
      }
      const other = await post(app, "/v1/orders", { item: "apple" }, key);
      assert.equal(JSON.parse(other.body).code, "idempotency-key-reused");
      await app.close();
    }));

  it("runs again under the same id after a failure, and finds what the failed run had done", () =>
    onShop(backend, async (database) => {
      const failed = new Set<string>();
      const { app } = await openShop(database.db, {
        mark: (point) => {
          if (!point.startsWith("effected/") || failed.has(point)) return;
          failed.add(point);
          throw new Error("the answer is lost");
        },
      });
      const key = { "idempotency-key": "k" };
      const close = (headers: Record<string, string>) => post(app, "/v1/shops/a/close", {}, headers);
      assert.deepEqual([(await close({ "idempotency-key": "c" })).status, (await close({})).status], [500, 409]);
      assert.equal((await close({ "idempotency-key": "c" })).status, 200, "what it was to do is done");
      assert.equal((await post(app, "/v1/orders", { item: "apple" }, key)).status, 500);
      const [order] = await orders(database);
      const again = await post(app, "/v1/orders", { item: "apple" }, key);
      assert.deepEqual([again.status, JSON.parse(again.body).id], [202, order?.id]);
      assert.equal((await orders(database)).length, 1);
      await app.close();
    }));

  it("runs one at a time, and finds under a key what a run has done that was taken for dead", () =>
    onShop(backend, async (database) => {
      const held: ((error?: Error) => void)[] = [];
      const before = () =>
        new Promise<void>((resolve, reject) => held.push((error) => (error ? reject(error) : resolve())));
      const { app } = await openShop(database.db, { before });
      const ask = () => post(app, "/v1/orders", { item: "apple" }, { "idempotency-key": "k" });
      const slow = ask();
      await until(() => held.length === 1);
      const busy = await ask();
      assert.deepEqual([busy.status, codeOf(busy)], [409, "idempotency-key-busy"]);
      assert.ok(Number(busy.retryAfter) > 1, "as long as the lease is");
      await database.db.query("UPDATE idempotency_keys SET leased_until = now()");
      const second = ask();
      await until(() => held.length === 2);
      held[1]?.(new LockstepError("balance-insufficient", "sold out meanwhile"));
      assert.equal((await second).status, 422);
      held[0]?.();
      const made = await slow;
      assert.equal(made.status, 202);
      assert.deepEqual(await ask(), { ...made, replayed: true });
      assert.equal((await orders(database)).length, 1);
      await app.close();
    }));

  for (const point of ["begun", "effected", "kept"]) {
    it(`has one effect and one answer when the process is killed at "${point}"`, () =>
      onShop(backend, async (database) => {
        const { connectionString, schema } = database;
        const route = "POST /v1/orders";
        const script = new URL("./shopProcess.ts", import.meta.url).pathname;
        const child = spawn(process.execPath, [script, connectionString, schema, `${point}/${route}`, "100"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        const [address] = await once(child.stdout, "data");
        const headers = { "idempotency-key": "k", "content-type": "application/json" };
        const body = JSON.stringify({ item: "apple" });
        const exited = once(child, "exit");
        await assert.rejects(fetch(`${String(address).trim()}/v1/orders`, { method: "POST", headers, body }));
        assert.deepEqual(await exited, [null, "SIGKILL"]);
        const [before] = await orders(database);
        assert.equal(before !== undefined, point !== "begun");
        const { app } = await openShop(database.db);
        const answer = await until(async () => {
          const found = await post(app, "/v1/orders", { item: "apple" }, headers);
          if (found.status !== 409) return found;
          assert.equal(codeOf(found), "idempotency-key-busy");
          assert.ok(Number(found.retryAfter) > 0);
          return undefined;
        });
        assert.equal(answer.status, 202);
        const made = await orders(database);
        assert.deepEqual(
          made.map(({ id }) => id),
          [JSON.parse(answer.body).id],
        );
        if (before) assert.equal(made[0]?.id, before.id);
        assert.deepEqual(await post(app, "/v1/orders", { item: "apple" }, headers), { ...answer, replayed: true });
        await app.close();
      }));
  }

  it("has one effect for what two processes are asked at once", () =>
    onShop(backend, async (database) => {
      const [one, two] = await Promise.all([openShop(database.db), openShop(database.another())]);
      const count = 20;
      const ask = ({ app }: typeof one, key: number) =>
        post(app, "/v1/orders", { item: `i${key}` }, { "idempotency-key": `k${key}` });
      const asked = await Promise.all(
        Array.from({ length: count * 4 }, (_, index) => ask(index % 2 ? one : two, Math.floor(index / 4))),
      );
      assert.ok(asked.every((answer) => answer.status === 202 || codeOf(answer) === "idempotency-key-busy"));
      for (let key = 0; key < count; key++) {
        const own = asked.slice(key * 4, key * 4 + 4).filter(({ status }) => status === 202);
        const after = await ask(one, key);
        assert.ok(own.length > 0 && own.every(({ body }) => body === after.body));
      }
      assert.equal((await orders(database)).length, count);
      await Promise.all([one.app.close(), two.app.close()]);
    }));
});

describe("Idempotency-Key, in whatever order things happen", () => {
  const item = fc.oneof(
    { weight: 6, arbitrary: fc.constant("apple") },
    { weight: 1, arbitrary: fc.constantFrom("pear", "none") },
  );
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("ask" as const), key: fc.constantFrom("a", "b"), item }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("proceed" as const), which: fc.nat(3) }) },
    // A process that stood still while its lease ran out.
    { weight: 2, arbitrary: fc.record({ do: fc.constant("expireLeases" as const) }) },
  );

  it("has at most one order for a key, which all who got an answer were told of", async () => {
    await onShop(embeddedDatabase, async (database) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 14 }), async (steps) => {
          await database.db.query("TRUNCATE orders, idempotency_keys");
          const held: (() => void)[] = [];
          const before = () => new Promise<void>((resolve) => held.push(resolve));
          const { app } = await openShop(database.db, { before });
          const asked: { key: string; item: string; answer: Promise<Answer> }[] = [];
          let settled = 0;
          for (const each of steps) {
            if (each.do === "ask") {
              const { key, item: wanted } = each;
              const holding = held.length;
              const done = settled;
              const answer = post(app, "/v1/orders", { item: wanted }, { "idempotency-key": key });
              asked.push({ key, item: wanted, answer: answer.finally(() => (settled += 1)) });
              await until(() => held.length > holding || settled > done);
            } else if (each.do === "proceed") {
              const [go] = held.splice(each.which % Math.max(held.length, 1), 1);
              const done = settled;
              go?.();
              if (go) await until(() => settled > done);
            } else {
              await database.db.query("UPDATE idempotency_keys SET leased_until = now()");
            }
          }
          for (const go of held.splice(0)) go();
          const answers = await Promise.all(asked.map(async (each) => ({ ...each, answer: await each.answer })));
          await app.close();
          for (const key of ["a", "b"]) {
            const made = answers.filter((each) => each.key === key && each.answer.status === 202);
            assert.ok(new Set(made.map(({ answer }) => answer.body)).size <= 1, "one answer");
            assert.ok(new Set(made.map((each) => each.item)).size <= 1, "to one request");
          }
          for (const { item: wanted, answer } of answers) {
            const codes = ["idempotency-key-busy", "idempotency-key-reused"];
            if (wanted === "none") codes.push("balance-insufficient");
            assert.ok(answer.status === 202 || codes.includes(codeOf(answer)), answer.body);
          }
          const told = new Set(
            answers.flatMap(({ answer }) => (answer.status === 202 ? [JSON.parse(answer.body).id] : [])),
          );
          const ids = (await orders(database)).map(({ id }) => id);
          assert.deepEqual(new Set(ids), told);
          assert.equal(ids.length, told.size);
        }),
        { numRuns: 80 },
      );
    });
  });
});
