import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { it } from "node:test";
import { z } from "zod";
import { migrate } from "#core/db/migrate.ts";
import { createApiKeys } from "#core/http/credentials/apiKeys.ts";
import { apiKeyAuthenticator } from "#core/http/credentials/bearer.ts";
import { watchBodies } from "#core/http/credentials/bodyDigests.ts";
import { hmacAuthenticator, signRequest } from "#core/http/credentials/hmac.ts";
import { createDatabaseNonces, createRedisNonces, type SeenNonces } from "#core/http/credentials/nonces.ts";
import { accessMigrations } from "#core/http/credentials/tables.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { type OpenDatabase, onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { redisAnswers, redisUrl } from "#test/support/queues.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const start = Date.parse("2026-01-31T12:00:00Z");
const windowSeconds = 60;
const order = { kind: "bearer", name: "ops", role: "trader", accounts: ["alice"] } as const;
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

const withoutRedis = !(await redisAnswers()) && "no Redis at 127.0.0.1:6379";

await onDatabase("keys of callers", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => {
      const world = await openWorld(database);
      try {
        await work(world);
      } finally {
        await world.close();
      }
    });

  async function openWorld(database: OpenDatabase) {
    await migrate(database.db, accessMigrations);
    const clock = createVirtualClock(start);
    const sealer = createSealer(redact(randomBytes(32)));
    const apps: HttpServer[] = [];
    const processOn = async (db: OpenDatabase["db"], nonces?: SeenNonces) => {
      const keys = createApiKeys({ db, sealer, clock, log: quietLog, accounts: ["alice", "bob"] });
      await keys.start();
      const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
      apps.push(app);
      const bodies = watchBodies(app);
      const seen = nonces ?? createDatabaseNonces({ db, clock, log: quietLog });
      guardRoutes(app, [
        hmacAuthenticator({ keys, nonces: seen, bodies, clock, windowSeconds }),
        apiKeyAuthenticator({ keys, clock }),
      ]);
      const body = z.strictObject({ amount: z.string() }).nullish();
      const querystring = z.looseObject({});
      for (const method of ["GET", "POST", "PUT"] as const) {
        app.route({
          ...{ method, url: "/v1/swaps", config: { access: "trader" } },
          schema: { querystring, ...(method !== "GET" && { body }) },
          handler: async ({ caller, body: sent }) => ({ caller, sent: sent ?? null }),
        });
      }
      return { app, keys };
    };
    const one = await processOn(database.db);
    const ask = async (authorization: string, on = one) => {
      const answer = await on.app.inject({ url: "/v1/swaps", headers: { authorization } });
      return { status: answer.statusCode, ...answer.json(), headers: answer.headers };
    };
    const another = (nonces?: SeenNonces) => processOn(database.another(), nonces);
    const close = () => Promise.all(apps.map((app) => app.close()));
    return { ...one, one, clock, ask, another, db: database.db, close };
  }

  it(
    "are made for managed accounts alone",
    inWorld(async ({ keys }) => {
      const misspelled = keys.create({ ...order, accounts: ["alice", "alcie"] }, "test");
      await assert.rejects(misspelled, (error) => isLockstepError(error, "account-unknown"));
      assert.deepEqual(await keys.list(undefined, 10), []);
    }),
  );

  it(
    "lets in whoever has the secret, as who the key says, and stores only a hash of it",
    inWorld(async (world) => {
      const { key, secret } = await world.keys.create(order, "test");
      const { status, caller } = await world.ask(`Bearer ${secret.reveal()}`);
      assert.equal(status, 200);
      assert.deepEqual(caller, { id: `key:ops:${key.id}`, key: key.id, role: "trader", accounts: ["alice"] });
      const random = secret.reveal().split("_").slice(2).join("_");
      const rows = JSON.stringify(await world.db.query("SELECT t::text FROM api_keys AS t"));
      assert.ok(!rows.includes(random) && !rows.includes(Buffer.from(random).toString("hex")));
      await until(async () => (await world.keys.get(key.id))?.lastUsedAt?.getTime() === start);
    }),
  );

  it(
    "refuses what is nearly a key, says the same of all of it, and asks for a Bearer",
    inWorld(async (world) => {
      const { key, secret } = await world.keys.create(order, "test");
      const right = secret.reveal();
      const last = right.endsWith("A") ? "B" : "A";
      const texts = [
        ...["", "lsk_", "lsk", `${right}A`, right.slice(0, -1), `${right.slice(0, -1)}${last}`, ` ${right} x`],
        right.replace(key.id, "0".repeat(16)),
        right.replace(key.id, "' OR '1'='1"),
        right.replace(key.id, `${key.id.slice(0, 15)}'`),
        `lsk_${"1".repeat(12_000)}`,
        right.toUpperCase(),
      ];
      for (const text of texts) {
        const { status, code, detail, headers } = await world.ask(`Bearer ${text}`);
        assert.deepEqual([status, code], [401, "unauthorized"], text);
        assert.equal(headers["www-authenticate"], "Bearer");
        if (/^lsk_\S+$/.test(text)) assert.equal(detail, "the API key is not one of this service");
      }
      for (const text of [right, `Basic ${right}`, `Bearer ${right}, Bearer ${right}`]) {
        assert.equal((await world.ask(text)).status, 401, text);
      }
      assert.equal((await world.app.inject({ url: "/v1/swaps" })).statusCode, 401);
      assert.equal((await world.ask(`bearer ${right}`)).status, 200, "the scheme has no case");
    }),
  );

  it(
    "ends with its time, and with its revocation here and elsewhere",
    inWorld(async (world) => {
      const other = await world.another();
      const expiring = await world.keys.create({ ...order, expiresAt: new Date(start + 5_000) }, "test");
      const { key, secret } = await world.keys.create(order, "test");
      const [short, long] = [`Bearer ${expiring.secret.reveal()}`, `Bearer ${secret.reveal()}`];
      for (const on of [world.one, other]) assert.equal((await world.ask(long, on)).status, 200);
      assert.equal((await world.ask(short)).status, 200);
      world.clock.advance(5_000);
      assert.match((await world.ask(short)).detail, /has expired/);
      assert.equal((await world.ask(long, other)).status, 200);
      assert.equal((await world.keys.revoke(key.id, "key:boss"))?.revokedBy, "key:boss");
      assert.match((await world.ask(long)).detail, /was revoked/);
      await until(async () => (await world.ask(long, other)).status === 401);
      assert.equal((await world.keys.revoke(key.id, "key:late"))?.revokedBy, "key:boss");
      // As those are told who have let somebody in for longer than a request.
      const good = (await world.keys.create({ ...order, expiresAt: new Date(start + 5_001) }, "test")).key;
      const ended = await world.keys.ended([good.id, key.id, expiring.key.id, "unknown"]);
      assert.deepEqual([...ended].toSorted(), [key.id, expiring.key.id, "unknown"].toSorted());
    }),
  );

  it(
    "does not believe its memory for longer than a second where no word of a revocation comes",
    inWorld(async (world) => {
      const { key, secret } = await world.keys.create(order, "test");
      const text = `Bearer ${secret.reveal()}`;
      assert.equal((await world.ask(text)).status, 200);
      await world.db.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [key.id]);
      assert.equal((await world.ask(text)).status, 200);
      world.clock.advance(1_000);
      assert.equal((await world.ask(text)).status, 401);
    }),
  );

  it(
    "refuses a second Authorization header, of which another reader might take another one",
    inWorld(async (world) => {
      const { secret } = await world.keys.create(order, "test");
      const authorization = `authorization: Bearer ${secret.reveal()}`;
      const port = await listen(world.app);
      const ask = (lines: string[]) => raw(port, ["GET /v1/swaps HTTP/1.1", "host: a", "connection: close", ...lines]);
      assert.match(await ask([authorization]), /^HTTP\/1.1 200/);
      assert.match(await ask([authorization, "AUTHORIZATION: Bearer other"]), /^HTTP\/1.1 401/);
      assert.match(await ask([`authorization: Bearer ${"x".repeat(40_000)}`]), /^HTTP\/1.1 431/);
    }),
  );

  it(
    "lets a signed request in once, and none that was changed in any part",
    inWorld(async (world) => {
      const { key, secret } = await world.keys.create({ ...order, kind: "hmac" }, "test");
      const timestamp = String(start / 1_000);
      const signed = (change: Partial<Parts> = {}, more: Record<string, string> = {}): Parts & { headers: Headers } => {
        const parts = { ...defaults(), method: "POST", target: "/v1/swaps?a=1&b=2", timestamp, ...change };
        const bodyHash = hashOf(parts.payload);
        const signature = signRequest(parts.secret ?? secret.reveal(), { ...parts, bodyHash });
        return { ...parts, headers: headersOf(key.id, { ...parts, bodyHash, signature }, more) };
      };
      const send = async ({ method, target, payload, headers }: Parts & { headers: Headers }) => {
        const answer = await world.app.inject({
          ...{ method: method as "POST", url: target, headers },
          ...(payload !== "" && { payload }),
        });
        return [answer.statusCode, answer.json()] as const;
      };
      const first = signed();
      const [status, { caller, sent }] = await send(first);
      assert.deepEqual([status, caller.role, sent], [200, "trader", { amount: "1" }]);
      const [again, { detail }] = await send(first);
      assert.deepEqual([again, detail], [401, "the request was sent before"]);
      assert.equal((await send(signed({ method: "GET", payload: "" })))[0], 200);
      assert.equal((await send(signed({ payload: "" })))[0], 200);

      const whole = signed();
      const changed: [string, Partial<Parts & { headers: Headers }>][] = [
        ["method", { method: "PUT" }],
        ["path", { target: "/v1/swaps/?a=1&b=2" }],
        ["query", { target: "/v1/swaps?a=1&b=3" }],
        ["order of the query", { target: "/v1/swaps?b=2&a=1" }],
        ["no query", { target: "/v1/swaps" }],
        ["body", { payload: '{"amount":"2"}' }],
        ["space in the body", { payload: '{"amount": "1"}' }],
        ["no body", { payload: "" }],
        ["timestamp", { headers: { ...whole.headers, "lockstep-timestamp": String(start / 1_000 + 1) } }],
        ["nonce", { headers: { ...whole.headers, "lockstep-nonce": "b".repeat(22) } }],
        ["hash", { headers: { ...whole.headers, "lockstep-body-sha256": hashOf("other") } }],
        ["body and hash", { payload: "x", headers: { ...whole.headers, "lockstep-body-sha256": hashOf("x") } }],
        ["key", { headers: { ...whole.headers, "lockstep-key": "0".repeat(16) } }],
        ["key with SQL", { headers: { ...whole.headers, "lockstep-key": "' OR true --" } }],
        ["signature", { headers: { ...whole.headers, "lockstep-signature": "0".repeat(64) } }],
        ["short signature", { headers: { ...whole.headers, "lockstep-signature": "00" } }],
        ["no signature", { headers: without(whole.headers, "lockstep-signature") }],
        ["another credential", { headers: { ...whole.headers, authorization: "Bearer x" } }],
      ];
      for (const [what, change] of changed) {
        // Each with a nonce of its own, so that it is not the nonce that is refused.
        const one = what === "nonce" || change.headers ? whole : signed();
        const [code, problem] = await send({ ...one, ...change });
        assert.deepEqual([code, problem.code], [401, "unauthorized"], what);
      }
      const spoiled = signed();
      await send({ ...spoiled, payload: '{"amount":"2"}' });
      assert.equal((await send(spoiled))[0], 401, "its nonce is used up");
      assert.equal((await send(whole))[0], 200, "those that were refused by their signature used up nothing");
      const bare = without(signed({ method: "GET", payload: "" }).headers, "content-type");
      const withBody = await world.app.inject({ method: "GET", url: "/v1/swaps?a=1&b=2", headers: bare, payload: "x" });
      assert.equal(withBody.statusCode, 401, "a body that nobody reads");
    }),
  );

  it(
    "takes a signed request only in its time, by a key in force and of its kind",
    inWorld(async (world) => {
      const { key, secret } = await world.keys.create({ ...order, kind: "hmac" }, "test");
      const send = async (offSeconds: number) => {
        const timestamp = String(Math.floor(world.clock.now() / 1_000) + offSeconds);
        const parts = { ...defaults(), method: "GET", target: "/v1/swaps", timestamp, payload: "" };
        const bodyHash = hashOf("");
        const signature = signRequest(secret.reveal(), { ...parts, bodyHash });
        const headers = headersOf(key.id, { ...parts, bodyHash, signature });
        return world.app.inject({ method: "GET", url: "/v1/swaps", headers });
      };
      for (const off of [-windowSeconds, 0, windowSeconds])
        assert.equal((await send(off)).statusCode, 200, String(off));
      for (const off of [-windowSeconds - 1, windowSeconds + 1])
        assert.match((await send(off)).json().detail, /off by more/);
      assert.equal((await world.ask(`Bearer lsk_${key.id}_${secret.reveal()}`)).status, 401, "it is never sent");
      await world.keys.revoke(key.id, "test");
      assert.match((await send(0)).json().detail, /was revoked/);
    }),
  );

  it(
    "remembers nonces for all processes, in the database",
    inWorld(async (world) => {
      const other = await world.another();
      await replayed(world, [world.one.app, other.app], async () => {
        // Old ones go, those that would still be taken stay.
        world.clock.advance(windowSeconds * 1_000);
      });
      world.clock.advance(200_000);
      const nonces = createDatabaseNonces({ db: world.db, clock: world.clock, log: quietLog });
      world.clock.advance(61_000);
      await nonces.claim("k", "n", world.clock.now() + 1);
      await until(async () => (await world.db.query("SELECT nonce FROM request_nonces")).length === 1);
    }),
  );

  it(
    "remembers nonces for all processes, in Redis, and lets nobody in without it",
    { skip: withoutRedis },
    inWorld(async (world) => {
      const prefix = `test-${randomBytes(6).toString("hex")}`;
      const open = (url: string) => createRedisNonces({ url, prefix, clock: world.clock, log: quietLog });
      const opened = [open(redisUrl), open(redisUrl), open("redis://127.0.0.1:1")] as const;
      const [one, two, lost] = await Promise.all(opened.map((nonces) => world.another(nonces)));
      assert.ok(one && two && lost);
      await replayed(world, [one.app, two.app]);
      const { answer } = await replayed(world, [lost.app], undefined, 503);
      assert.equal(answer.json().code, "replay-check-unreachable");
      for (const nonces of opened) await nonces.close();
    }),
  );

  /** Sends one signed request to each, of which only the first may take it. */
  async function replayed(
    { keys, clock }: Pick<Awaited<ReturnType<typeof openWorld>>, "keys" | "clock">,
    apps: readonly HttpServer[],
    between?: () => Promise<void>,
    first = 200,
  ) {
    const { key, secret } = await keys.create({ ...order, kind: "hmac" }, "test");
    const timestamp = String(Math.floor(clock.now() / 1_000));
    const parts = { ...defaults(), method: "GET", target: "/v1/swaps", timestamp, payload: "", bodyHash: hashOf("") };
    const headers = headersOf(key.id, { ...parts, signature: signRequest(secret.reveal(), parts) });
    const [head, ...rest] = apps;
    const answer = await head!.inject({ method: "GET", url: "/v1/swaps", headers });
    assert.equal(answer.statusCode, first);
    await between?.();
    for (const app of rest) {
      const later = await app.inject({ method: "GET", url: "/v1/swaps", headers });
      assert.equal(later.json().detail, "the request was sent before");
    }
    return { answer };
  }
});

it("secrets are compared in constant time wherever callers prove that they have one", () => {
  for (const file of ["credentials/bearer.ts", "credentials/hmac.ts", "localOnly.ts"]) {
    const text = readFileSync(new URL(`../../../core/http/${file}`, import.meta.url), "utf8");
    assert.match(text, /[^.\w]timingSafeEqual\(/, file);
    assert.doesNotMatch(text, /(signature|proof|token|right|hashSecret\(.*\)|reveal\(\)) [!=]==? (?!undefined)/, file);
  }
});

type Headers = Record<string, string>;
type Parts = { method: string; target: string; timestamp: string; nonce: string; payload: string; secret?: string };

const defaults = () => ({ nonce: randomBytes(16).toString("base64url"), payload: '{"amount":"1"}' });

const headersOf = (
  key: string,
  { timestamp, nonce, bodyHash, signature, payload }: Parts & { bodyHash: string; signature: string },
  more: Headers = {},
): Headers => ({
  ...(payload !== "" && { "content-type": "application/json" }),
  ...{ "lockstep-key": key, "lockstep-timestamp": timestamp, "lockstep-nonce": nonce },
  ...{ "lockstep-body-sha256": bodyHash, "lockstep-signature": signature, ...more },
});

const without = (headers: Headers, name: string): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));

async function listen(app: HttpServer): Promise<number> {
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  return typeof address === "object" && address ? address.port : 0;
}

/** What a server answers to these lines, to the letter. */
function raw(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
    socket.on("error", (error) => (text ? resolve(text) : reject(error)));
  });
}
