import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { composeService } from "#app/compose.ts";
import type { Service } from "#app/lifecycle.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { type AccessRole, accessRoles, type RouteAccess } from "#core/http/access.ts";
import { createApiKeys } from "#core/http/credentials/apiKeys.ts";
import { type HttpServer, routesOf } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { swapEvents, swapProjections } from "#swap";
import { startBareChain } from "#test/support/bareChain.ts";
import { type OpenDatabase, openBackend, quietLog } from "#test/support/databases.ts";
import type { JsonServer } from "#test/support/jsonServer.ts";
import { openSse } from "#test/support/sse.ts";

const plenty = { perMinute: 1_000_000, burst: 100_000 };

/**
 * Who may do what, written by hand: the least role, by path. A route that is not here, or that declares something else,
 * fails. HEAD is what GET is.
 */
const table: Readonly<Record<string, RouteAccess>> = {
  "GET /health/live": "anyone",
  "GET /health/ready": "anyone",
  "GET /health/startup": "anyone",
  "GET /": "anyone",
  "GET /openapi.json": "anyone",
  "GET /metrics": "viewer",
  "POST /v1/messages": "trader",
  "GET /v1/messages": "viewer",
  "GET /v1/messages/:id": "viewer",
  "POST /v1/messages/:id/retry": "operator",
  "POST /v1/messages/:id/abandon": "operator",
  "POST /v1/messages/retry": "operator",
  "GET /v1/instances": "viewer",
  "POST /v1/instances/:id/drain": "operator",
  "GET /v1/leases": "viewer",
  "GET /v1/restore": "viewer",
  "POST /v1/restore/release": "admin",
  "GET /v1/lanes": "viewer",
  "POST /v1/lanes": "admin",
  "POST /v1/lanes/:origin/:destination/pause": "operator",
  "POST /v1/lanes/:origin/:destination/resume": "operator",
  "DELETE /v1/lanes/:origin/:destination": "admin",
  "GET /v1/validators": "viewer",
  "POST /v1/attestations": "signed",
  "GET /v1/bridges": "viewer",
  "POST /v1/swaps": "trader",
  "GET /v1/swaps": "viewer",
  "GET /v1/swaps/:id": "viewer",
  "POST /v1/swaps/:id/claim": "trader",
  "POST /v1/swaps/:id/signatures": "trader",
  "POST /v1/swaps/:id/refund": "trader",
  "POST /v1/swaps/:id/approve": "operator",
  "POST /v1/swaps/:id/reject": "operator",
  "POST /v1/quotes": "trader",
  "GET /v1/audit": "admin",
  "GET /v1/desk": "viewer",
  "GET /v1/locks": "viewer",
  "GET /v1/locks/:chain/:lockId": "viewer",
  "POST /v1/locks/:chain/:lockId/watch": "trader",
  "GET /v1/halts": "viewer",
  "PUT /v1/halts": "operator",
  "DELETE /v1/halts/:id": "operator",
  "GET /v1/chains": "viewer",
  "POST /v1/chains": "admin",
  "PATCH /v1/chains/:name": "admin",
  "DELETE /v1/chains/:name": "admin",
  "POST /v1/chains/:name/restore": "admin",
  "POST /v1/chains/:name/pause": "operator",
  "POST /v1/chains/:name/resume": "operator",
  "POST /v1/chains/:name/reindex": "admin",
  "GET /v1/chains/:name/state/:address": "viewer",
  "GET /v1/chains/:name/state/:address/storage/:slot": "viewer",
  "POST /v1/api-keys": "admin",
  "GET /v1/api-keys": "admin",
  "DELETE /v1/api-keys/:id": "admin",
  "GET /v1/events": "viewer",
  "GET /v1/events/ws": "viewer",
  "POST /v1/webhooks": "operator",
  "GET /v1/webhooks": "operator",
  "GET /v1/webhooks/:id": "operator",
  "POST /v1/webhooks/:id/resume": "operator",
  "DELETE /v1/webhooks/:id": "operator",
};

const stored = JSON.parse(readFileSync(new URL("../events/stored.json", import.meta.url), "utf8"));

describe("who may do what", () => {
  let folder: string;
  let database: OpenDatabase;
  let db: PostgresDb;
  let chains: JsonServer[];
  let service: Service;
  let app: HttpServer;
  let swapId: string;
  const secrets = new Map<AccessRole | undefined, string>();

  const keyWith = async (order: { role: AccessRole; accounts?: readonly string[] }) => {
    const keys = createApiKeys({
      db,
      sealer: createSealer(redact(randomBytes(32))),
      clock: systemClock,
      log: quietLog,
      accounts: ["alice", "bob", "carol"],
    });
    const { key, secret } = await keys.create({ kind: "bearer", name: "it", ...order }, "test");
    return { id: key.id, secret: secret.reveal() };
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "lockstep-access-"));
    database = await (await openBackend()).open();
    chains = await Promise.all([startBareChain(1), startBareChain(2)]);
    const key = (name: string, digit: string) => {
      const file = join(folder, name);
      writeFileSync(file, `0x${digit.repeat(64)}`);
      return { file };
    };
    const chain = ({ url }: JsonServer, i: number) => ({
      ...{ chainId: i + 1, endpoints: [url], finality: { blocks: 0 } },
      ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
      ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
    });
    const config = serviceConfigSchema.parse({
      ...{
        dataDir: folder,
        roles: ["api"],
        http: { port: 0, access: {}, rateLimit: { caller: plenty, address: plenty } },
      },
      chains: { alpha: chain(chains[0]!, 0), beta: chain(chains[1]!, 1) },
      accounts: { alice: key("alice", "1"), bob: key("bob", "2"), carol: key("carol", "3") },
      sealingKey: key("sealing", "4"),
      relay: {
        account: "bob",
        validators: [{ name: "v", address: `0x${"33".repeat(20)}`, url: "http://127.0.0.1:1" }],
      },
      swap: { reactionSeconds: 5 },
    });
    const env = { DATABASE_URL: database.connectionString, LOCKSTEP_LOG_LEVEL: "silent" } as const;
    service = await composeService(config, env, { log: quietLog });
    app = await service.http();
    db = createDb({ connectionString: database.connectionString, log: quietLog });
    for (const role of accessRoles) secrets.set(role, (await keyWith({ role })).secret);
    const store = createEventStore({
      ...{ db, schemas: swapEvents, projections: swapProjections, log: quietLog, clock: systemClock },
    });
    swapId = randomUUID();
    const data = z.decode(swapEvents.SwapRequested, stored.SwapRequested[0]);
    const events = [{ type: "SwapRequested" as const, data }];
    await db.tx((tx) => store.append(tx, [{ stream: `swap-${swapId}`, expected: 0, events }]));
  });
  after(async () => {
    await app?.close();
    await service?.stop();
    await db?.close();
    for (const chain of chains ?? []) await chain.close();
    await database?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = (method: string, url: string, secret?: string, payload?: object) =>
    app.inject({
      ...{ method: method as "GET", url, ...(payload && { payload }) },
      ...(secret !== undefined && { headers: { authorization: `Bearer ${secret}` } }),
    });

  it("is what the table says, of every route there is", () => {
    const isPage = ({ url }: { url: string }) => `${url}/`.startsWith("/docs/");
    const routes = routesOf(app);
    for (const route of routes.filter(isPage)) assert.equal(route.access, "anyone", route.url);
    const declared = routes
      .filter((route) => !isPage(route))
      .map(({ method, url, access }) => [`${method === "HEAD" ? "GET" : method} ${url}`, access]);
    assert.deepEqual(Object.fromEntries(declared.toSorted()), Object.fromEntries(Object.entries(table).toSorted()));
  });

  it("is what the server does, for every route, every role and nobody", async () => {
    for (const { method, url } of routesOf(app)) {
      const least = url.startsWith("/docs") ? "anyone" : table[`${method === "HEAD" ? "GET" : method} ${url}`];
      const path = url
        // A stream that is opened has no end that could be waited for.
        .replace(/events$/, "events?after=x")
        .replace(":lockId", `0x${"0".repeat(64)}`)
        .replace(/:\w+/g, "nothing")
        .replace("*", "x");
      for (const role of [undefined, ...accessRoles]) {
        const { statusCode } = await ask(method, path, secrets.get(role));
        const open = least === "anyone" || least === "signed";
        const wanted = open || (role && accessRoles.indexOf(role) >= accessRoles.indexOf(least as AccessRole));
        const what = `${method} ${path} by ${role ?? "nobody"}: ${statusCode}`;
        if (wanted) assert.ok(statusCode !== 401 && statusCode !== 403, what);
        else assert.equal(statusCode, role ? 403 : 401, what);
      }
    }
  });

  it("ends a stream soon after its key was revoked, and lets others go on", async () => {
    const [first, other] = [await keyWith({ role: "viewer" }), await keyWith({ role: "viewer" })];
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const open = ({ secret }: { secret: string }) =>
      openSse(`http://127.0.0.1:${port}/v1/events`, { authorization: `Bearer ${secret}` });
    const [stream, going] = [await open(first), await open(other)];
    assert.equal((await ask("DELETE", `/v1/api-keys/${first.id}`, secrets.get("admin"))).statusCode, 200);
    await stream.closed;
    assert.equal(JSON.parse(stream.messages.at(-1)?.data ?? "").code, "unauthorized");
    assert.equal((await open(first)).status, 401);
    assert.deepEqual(going.messages, []);
    going.close();
  });

  it("does not take the start-up token once there is authentication, nor asks who is on this machine", async () => {
    writeFileSync(join(folder, "token"), "start-up-token");
    assert.equal((await ask("GET", "/v1/chains", "start-up-token")).statusCode, 401);
    assert.equal((await ask("GET", "/v1/chains")).statusCode, 401);
    const elsewhere = await app.inject({ url: "/health/live", headers: { host: "lockstep.example" } });
    assert.equal(elsewhere.statusCode, 200);
  });

  /** What a key for these accounts is refused with; undefined where it is let through. */
  const refusal = async (role: AccessRole, accounts: readonly string[], method: string, url: string, body?: object) => {
    const { secret } = await keyWith({ role, accounts });
    const answer = await ask(method, url, secret, body);
    assert.notEqual(answer.statusCode, 401);
    return answer.statusCode === 403 ? [answer.json().code, answer.json().field] : undefined;
  };

  it("is limited to the accounts of a key where something is requested for them", async () => {
    const leg = (chain: string) => ({ chain, asset: { type: "native" }, amount: "1" });
    const outsider = { source: `0x${"a1".repeat(20)}`, target: `0x${"a1".repeat(20)}` };
    const swap = (initiator: object, counterparty: object, accounts: readonly string[]) =>
      refusal("admin", accounts, "POST", "/v1/swaps", {
        ...{ source: leg("alpha"), target: leg("beta"), initiator, counterparty },
        ...(initiator === outsider && { hashlock: `0x${"5".repeat(64)}` }),
      });
    const [alice, bob] = [{ account: "alice" }, { account: "bob" }];
    assert.deepEqual(await swap(alice, bob, ["alice"]), ["forbidden", "counterparty.account"]);
    assert.deepEqual(await swap(alice, bob, ["bob"]), ["forbidden", "initiator.account"]);
    assert.deepEqual(await swap(alice, outsider, ["bob"]), ["forbidden", "initiator.account"]);
    assert.deepEqual(await swap(outsider, bob, ["alice"]), ["forbidden", "counterparty.account"]);
    assert.deepEqual(await swap(alice, bob, []), ["forbidden", "initiator.account"]);
    assert.equal(await swap(alice, bob, ["alice", "bob"]), undefined);
    assert.equal(await swap(alice, outsider, ["alice"]), undefined);

    const message = (accounts: readonly string[], more: object = {}) =>
      refusal("trader", accounts, "POST", "/v1/messages", {
        ...{ origin: "alpha", destination: "beta", recipient: `0x${"44".repeat(20)}`, payload: "0x", ...more },
      });
    assert.deepEqual(await message(["alice"], { account: "bob" }), ["forbidden", "account"]);
    assert.deepEqual(await message(["alice"]), ["forbidden", "account"], "the account that sends where none is named");
    assert.equal(await message(["alice"], { account: "alice" }), undefined);
    assert.equal(await message(["bob"]), undefined);
  });

  it("is limited to the accounts of a key where something is done to their swaps", async () => {
    const signature = { leg: "source", kind: "lock", signature: "0x00" };
    const actions: [string, object?][] = [["claim"], ["refund"], ["signatures", signature], ["reject"]];
    const secret = `0x${"5".repeat(64)}`;
    for (const [action, body] of [...actions, ["claim", { secret }]] as [string, object?][]) {
      const act = (accounts: string[]) => refusal("operator", accounts, "POST", `/v1/swaps/${swapId}/${action}`, body);
      assert.deepEqual(await act(["carol"]), ["forbidden", "id"], action);
      assert.equal(await act(["alice"]), undefined, action);
      assert.equal(await act(["carol", "bob"]), undefined, action);
    }
    const approve = (accounts: string[], body?: object) =>
      refusal("operator", accounts, "POST", `/v1/swaps/${swapId}/approve`, body);
    assert.deepEqual(await approve(["alice"]), ["forbidden", "id"], "it would approve what bob locks too");
    assert.deepEqual(await approve(["alice"], { step: "lock-target" }), ["forbidden", "step"]);
    assert.equal(await approve(["alice"], { step: "lock-source" }), undefined);
    assert.equal(await approve(["alice", "bob"]), undefined);
  });

  it("lets a key for some accounts halt those alone, and make keys for those alone", async () => {
    const halt = (accounts: string[], body: object) =>
      refusal("operator", accounts, "PUT", "/v1/halts", { reason: "test", ...body });
    for (const body of [{}, { chain: "alpha" }, { account: "bob" }]) {
      assert.deepEqual(await halt(["alice"], body), ["forbidden", "account"], JSON.stringify(body));
    }
    assert.equal(await halt(["alice"], { account: "alice" }), undefined);
    const { id } = (await ask("PUT", "/v1/halts", secrets.get("operator"), { reason: "all" })).json();
    assert.deepEqual(await refusal("operator", ["alice"], "DELETE", `/v1/halts/${id}`), ["forbidden", "account"]);
    assert.equal((await ask("DELETE", `/v1/halts/${id}`, secrets.get("operator"))).statusCode, 200);

    const make = (accounts: string[], body: object) =>
      refusal("admin", accounts, "POST", "/v1/api-keys", { name: "new", role: "trader", ...body });
    assert.deepEqual(await make(["alice"], {}), ["forbidden", "accounts"], "one for all accounts is more");
    assert.deepEqual(await make(["alice"], { accounts: ["alice", "bob"] }), ["forbidden", "accounts"]);
    assert.equal(await make(["alice", "bob"], { accounts: ["bob"] }), undefined);
    const whole = await keyWith({ role: "viewer" });
    assert.deepEqual(await refusal("admin", ["alice"], "DELETE", `/v1/api-keys/${whole.id}`), [
      "forbidden",
      "accounts",
    ]);
  });

  it("is given by keys that are made, listed and revoked over the API, and shown once", async () => {
    const admin = secrets.get("admin");
    const order = { name: "desk", role: "trader", accounts: ["alice"], expiresAt: "2099-01-31T12:00:00Z" };
    const made = await ask("POST", "/v1/api-keys", admin, order);
    assert.equal(made.statusCode, 201);
    const { secret, ...key } = made.json();
    assert.match(key.createdBy, /^key:it:/);
    const listed = await ask("GET", "/v1/api-keys?limit=1", admin);
    assert.deepEqual(listed.json().keys, [key]);
    assert.ok(!listed.body.includes(secret) && listed.json().next !== undefined);
    assert.equal((await ask("GET", "/v1/swaps", secret)).statusCode, 200);
    assert.ok((await ask("DELETE", `/v1/api-keys/${key.id}`, admin)).json().revokedAt);
    assert.equal((await ask("GET", "/v1/swaps", secret)).statusCode, 401);
    const late = await ask("POST", "/v1/api-keys", admin, { ...order, expiresAt: "2020-01-31T12:00:00Z" });
    assert.equal(late.json().field, "expiresAt");
    const lost = await ask("POST", "/v1/api-keys", admin, { ...order, accounts: ["alice", "alcie"] });
    assert.deepEqual([lost.statusCode, lost.json().code, lost.json().field], [422, "account-unknown", "accounts"]);
    assert.equal((await ask("DELETE", "/v1/api-keys/0123456789abcdef", admin)).statusCode, 404);
    for (const path of ["/v1/audit?caller=%00", "/v1/audit?route=%00", "/v1/swaps?account=%00"])
      assert.equal((await ask("GET", path, admin)).json().code, "request-invalid", path);
  });

  it("makes no key that outlives the one it was made with", async () => {
    const expiresAt = "2098-01-01T00:00:00.000Z";
    const admin = (
      await ask("POST", "/v1/api-keys", secrets.get("admin"), { name: "ends", role: "admin", expiresAt })
    ).json();
    const make = async (order: object) =>
      (await ask("POST", "/v1/api-keys", admin.secret, { name: "next", role: "viewer", ...order })).json();
    for (const order of [{}, { expiresAt: "2098-01-01T00:00:01Z" }])
      assert.deepEqual([(await make(order)).code, (await make(order)).field], ["forbidden", "expiresAt"]);
    assert.equal((await make({ expiresAt })).expiresAt, expiresAt);
  });
});
