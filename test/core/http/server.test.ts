import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { z } from "zod";
import { type AccessRole, accessRoles } from "#core/http/access.ts";
import { auditRequests } from "#core/http/audit/auditRequests.ts";
import type { AuditEntry } from "#core/http/audit/chain.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { localAuthenticator, refusePages } from "#core/http/localOnly.ts";
import { pageQuery } from "#core/http/page.ts";
import { problemSchema } from "#core/http/problem.ts";
import { limitCallers } from "#core/http/rate/limitRate.ts";
import { createMemoryBuckets } from "#core/http/rate/memory.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { uint } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";

const token = "start-up-token";
const authorization = `Bearer ${token}`;
const host = "127.0.0.1:7600";

describe("the HTTP kit", () => {
  let app: HttpServer;
  let done: string[];

  beforeEach(async () => {
    done = [];
    app = await createHttpServer({
      log: createLog({ level: "silent", name: "test" }),
      title: "t",
      version: "1",
      description: "d",
    });
    refusePages(app);
    guardRoutes(app, [localAuthenticator(redact(token))]);
    const body = z.strictObject({ amount: uint, leg: z.strictObject({ chain: z.string() }) });
    const problems = { "4xx": problemSchema };
    app.post(
      "/v1/things",
      { config: { access: "trader" }, schema: { body, response: { 200: z.object({ amount: uint }), ...problems } } },
      async (request) => {
        done.push("posted");
        return { amount: request.body.amount + 1n };
      },
    );
    app.post("/v1/poke", { config: { access: "trader" } }, async () => {
      done.push("poked");
      return {};
    });
    app.post(
      "/v1/listed",
      { config: { access: "trader" }, schema: { querystring: z.strictObject({ chain: z.string().optional() }) } },
      async () => ({}),
    );
    app.get(
      "/v1/pages",
      { config: { access: "viewer" }, schema: { querystring: z.strictObject(pageQuery) } },
      async () => ({}),
    );
    app.post("/v1/signed", { config: { access: "signed" } }, async () => ({}));
    app.get("/v1/known", { config: { access: "viewer" } }, async () => {
      throw new LockstepError("balance-insufficient", "needs more", {
        details: { field: "source.amount", needed: 2n ** 70n },
      });
    });
    app.get("/v1/unknown", { config: { access: "viewer" } }, async () => {
      throw new Error("the password is hunter2");
    });
  });
  afterEach(() => app.close());

  const post = (payload: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: "POST",
      url: "/v1/things",
      payload: payload as object,
      headers: { host, authorization, ...headers },
    });
  const good = { amount: "41", leg: { chain: "alpha" } };

  it("carries bigints as decimal strings both ways", async () => {
    const answer = await post({ ...good, amount: (2n ** 200n).toString() });
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), { amount: (2n ** 200n + 1n).toString() });
  });

  it("names the field that is wrong, with a problem document", async () => {
    const cases: [unknown, string][] = [
      [{ ...good, amount: "1.5" }, "amount"],
      [{ ...good, amount: 41 }, "amount"],
      [{ ...good, amount: "-1" }, "amount"],
      [{ ...good, amount: (2n ** 256n).toString() }, "amount"],
      [{ ...good, leg: {} }, "leg.chain"],
      [{ ...good, extra: 1 }, "extra"],
      [{ ...good, leg: { ...good.leg, tip: 1 } }, "leg.tip"],
      [[], "body"],
    ];
    for (const [payload, field] of cases) {
      const answer = await post(payload);
      assert.equal(answer.statusCode, 400, JSON.stringify(payload));
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
      const { code, field: found, status } = answer.json();
      assert.deepEqual({ code, found, status }, { code: "request-invalid", found: field, status: 400 });
    }
    assert.deepEqual(done, []);
  });

  it("refuses what a route does not declare, in the query and in the body", async () => {
    const poke = (url: string, payload?: unknown) =>
      app.inject({
        method: "POST",
        url,
        headers: { host, authorization },
        ...(payload !== undefined && { payload: payload as object }),
      });
    for (const [url, payload, field] of [
      ["/v1/poke", { force: true }, "force"],
      ["/v1/poke", [1], "body"],
      ["/v1/poke?force=true", undefined, "force"],
      ["/v1/things?dryRun=true", good, "dryRun"],
      ["/v1/listed?chian=alpha", {}, "chian"],
    ] as const) {
      const answer = await poke(url, payload);
      assert.deepEqual([answer.statusCode, answer.json().code, answer.json().field], [400, "request-invalid", field]);
    }
    assert.deepEqual(done, []);
    for (const payload of [undefined, {}]) assert.equal((await poke("/v1/poke", payload)).statusCode, 200);
    const probe = await app.inject({ method: "GET", url: "/openapi.json?a=b", headers: { host } });
    assert.equal(probe.statusCode, 200, "what is no route of the API may be asked by others in their way");
  });

  it("says what it expects in place of a body or query that does not fit, and repeats none of it", async () => {
    const json = { "content-type": "application/json" };
    const secret = "5ec7e7";
    const ask = async (method: "GET" | "POST", url: string, payload?: string, headers: Record<string, string> = {}) => {
      const all = { host, authorization, ...headers };
      const answer = await app.inject({ method, url, headers: all, ...(payload !== undefined && { payload }) });
      assert.equal(answer.statusCode, 400, payload ?? url);
      assert.ok(!answer.body.includes(secret), answer.body);
      return [answer.json().field, answer.json().detail];
    };
    const place = "expected JSON, which it stops to be at position";
    const known = "nothing of this name is known here; expected";
    for (const [payload, headers, field, words] of [
      [undefined, {}, "body", "expected an object, and there is none"],
      ["", json, "body", "expected JSON, and there is none"],
      ["[]", json, "body", "expected an object"],
      ['{"amount":"1",}', json, "body", `${place} 14 (line 1 column 15)`],
      [`{"amount":"1","leg":"${secret}" "${secret}"}`, json, "body", `${place} 29 (line 1 column 30)`],
      [`{"amount":${secret}`, json, "body", `${place} 12 (line 1 column 13)`],
      [`{"amount":s${secret}}`, json, "body", "expected JSON"],
      [`{"__proto__":"${secret}"}`, json, "body", "a field may not be named __proto__, nor constructor"],
      ['{"amount":5}', json, "amount", "expected a whole number from 0 to"],
      [`{"amuont":"${secret}","leg":{"chain":"a"}}`, json, "amuont", `${known} amount, leg`],
      [`{"amount":"1","leg":{"chian":"${secret}"}}`, json, "leg.chian", `${known} chain`],
      [`{"amount":"1","leg":"${secret}"}`, json, "leg", "expected an object"],
      ['{"amount":"1"}', json, "leg", "expected an object, and there is none"],
    ] as const) {
      const [found, detail] = await ask("POST", "/v1/things", payload, headers);
      assert.equal(found, field, payload);
      assert.ok(detail.startsWith(`${field}: ${words}`), `${payload}: ${detail}`);
    }
    for (const limit of [`a${secret}`, "0", "101", "1.5", ""])
      assert.deepEqual(await ask("GET", `/v1/pages?limit=${limit}`), [
        "limit",
        "limit: expected a whole number from 1 to 100",
      ]);
    assert.deepEqual(await ask("GET", "/v1/pages?limt=1"), ["limt", `limt: ${known} cursor, limit`]);
  });

  it("answers broken JSON, other media types, large bodies and unknown paths with their codes", async () => {
    const headers = { host, authorization, "content-type": "application/json" };
    const broken = await app.inject({ method: "POST", url: "/v1/things", payload: "{", headers });
    assert.equal(broken.json().code, "request-invalid");
    const text = await app.inject({
      method: "POST",
      url: "/v1/things",
      payload: "a",
      headers: { ...headers, "content-type": "text/plain" },
    });
    assert.deepEqual([text.statusCode, text.json().code], [415, "unsupported-media-type"]);
    const large = await post({ ...good, leg: { chain: "x".repeat(300_000) } });
    assert.deepEqual([large.statusCode, large.json().code], [413, "body-too-large"]);
    const garbled = await app.inject({ method: "GET", url: "/v1/%ZZ", headers });
    assert.deepEqual([garbled.statusCode, garbled.json().code], [400, "request-invalid"]);
    const lost = await app.inject({ method: "GET", url: "/v1/nothing", headers });
    assert.deepEqual([lost.statusCode, lost.json().code], [404, "not-found"]);
  });

  it("tells the details of known errors, and nothing of unknown ones", async () => {
    const known = await app.inject({ method: "GET", url: "/v1/known", headers: { host } });
    assert.equal(known.statusCode, 422);
    assert.deepEqual(known.json().details, { needed: (2n ** 70n).toString() });
    assert.equal(known.json().field, "source.amount");
    const unknown = await app.inject({ method: "GET", url: "/v1/unknown", headers: { host } });
    assert.equal(unknown.statusCode, 500);
    assert.doesNotMatch(unknown.body, /hunter2/);
  });

  it("refuses to change anything without the token, but lets signed routes and reading through", async () => {
    for (const given of ["", "Bearer wrong", `Bearer ${token}x`, token]) {
      assert.equal((await post(good, { authorization: given })).json().code, "unauthorized");
    }
    const poke = await app.inject({ method: "POST", url: "/v1/poke", headers: { host } });
    assert.equal(poke.statusCode, 401);
    const signed = await app.inject({ method: "POST", url: "/v1/signed", headers: { host } });
    assert.equal(signed.statusCode, 200);
    assert.deepEqual(done, []);
  });

  it("does not take a route that does not say who may call it", async () => {
    assert.throws(() => app.get("/v1/forgotten", {}, async () => ({})), /does not say who may call it/);
  });

  it("keeps callers from what their role does not include, and lets each role do what the ones before it may", async () => {
    const served = await createHttpServer({
      log: createLog({ level: "silent", name: "test" }),
      ...{ title: "t", version: "1", description: "d" },
    });
    guardRoutes(served, [({ headers }) => ({ id: "it", role: headers.role as AccessRole })]);
    for (const access of accessRoles) served.get(`/for/${access}`, { config: { access } }, async () => ({}));
    served.get("/for/anyone", { config: { access: "anyone" } }, async () => ({}));
    for (const [rank, role] of accessRoles.entries()) {
      for (const [asked, access] of accessRoles.entries()) {
        const answer = await served.inject({ url: `/for/${access}`, headers: { role } });
        assert.equal(answer.statusCode, rank >= asked ? 200 : 403, `${role} on ${access}`);
        if (rank < asked) assert.equal(answer.json().code, "forbidden");
      }
    }
    assert.equal((await served.inject({ url: "/for/admin", headers: { role: "no-such-role" } })).statusCode, 403);
    assert.equal((await served.inject({ url: "/for/anyone" })).statusCode, 200);
    await served.close();
  });

  it("knows who it refuses by the time that limits and the audit ask", async () => {
    const served = await createHttpServer({
      log: createLog({ level: "silent", name: "test" }),
      ...{ title: "t", version: "1", description: "d" },
    });
    guardRoutes(served, [() => ({ id: "it", role: "viewer" })]);
    const rate = { perMinute: 60, burst: 2 };
    const often = { perMinute: 60_000, burst: 1_000 };
    limitCallers(served, {
      buckets: createMemoryBuckets({ clock: systemClock }),
      config: () => ({ caller: rate, address: often }),
    });
    const written: AuditEntry[] = [];
    const audit = { write: async (entry: AuditEntry) => void written.push(entry) };
    auditRequests(served, { audit, clock: systemClock, log: createLog({ level: "silent", name: "test" }) });
    served.post("/things", { config: { access: "admin" } }, async () => ({}));
    const codes = [];
    for (let times = 0; times < 4; times++)
      codes.push((await served.inject({ method: "POST", url: "/things" })).json().code);
    assert.deepEqual(codes, ["forbidden", "forbidden", "rate-limited", "rate-limited"]);
    assert.deepEqual(
      written.map(({ kind, caller, code }) => [kind, caller, code]),
      Array(2).fill(["refused", "it", "forbidden"]),
    );
    await served.close();
  });

  it("keeps keys for some accounts from what concerns all", async () => {
    const served = await createHttpServer({
      log: createLog({ level: "silent", name: "test" }),
      ...{ title: "t", version: "1", description: "d" },
    });
    guardRoutes(served, [
      ({ headers: { accounts } }) => ({ id: "it", role: "admin", ...(accounts && { accounts: [String(accounts)] }) }),
    ]);
    served.get("/all", { config: { access: "operator", everyAccount: true } }, async () => ({}));
    served.get("/own", { config: { access: "operator" } }, async () => ({}));
    assert.equal((await served.inject({ url: "/all" })).statusCode, 200);
    assert.equal((await served.inject({ url: "/own", headers: { accounts: "alice" } })).statusCode, 200);
    const refused = await served.inject({ url: "/all", headers: { accounts: "alice" } });
    assert.deepEqual([refused.statusCode, refused.json().code], [403, "forbidden"]);
    await served.close();
  });

  it("refuses pages of other origins and foreign host names, also for reading", async () => {
    const read = (headers: Record<string, string>) => app.inject({ method: "GET", url: "/openapi.json", headers });
    assert.equal((await read({ host: "evil.example" })).json().code, "origin-refused");
    assert.equal((await read({ host: "127.0.0.1.evil.example:7600" })).json().code, "origin-refused");
    assert.equal((await read({ host, origin: "http://evil.example" })).json().code, "origin-refused");
    assert.equal((await read({ host, origin: "null" })).json().code, "origin-refused");
    assert.equal((await read({ host, origin: `http://${host}` })).statusCode, 200);
    assert.equal((await read({ host: "localhost:7600" })).statusCode, 200);
    assert.equal((await read({ host: "[::1]:7600" })).statusCode, 200);
  });

  it("describes itself as OpenAPI 3.1, and shows it", async () => {
    const document = (await app.inject({ method: "GET", url: "/openapi.json", headers: { host } })).json();
    assert.match(document.openapi, /^3\.1/);
    const schema = document.paths["/v1/things"].post.requestBody.content["application/json"].schema;
    assert.equal(schema.properties.amount.type, "string");
    assert.equal(schema.additionalProperties, false);
    const known = Object.keys(document.components.schemas);
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name,
    );
    assert.ok(references.length > 0 && references.every((name) => known.includes(String(name))), String(references));
  });

  it("leads from its address to pages that have its own title and no mark of others", async () => {
    const get = (url: string) => app.inject({ method: "GET", url, headers: { host } });
    const root = await get("/");
    assert.deepEqual([root.statusCode, root.headers.location], [302, "/docs/"]);
    assert.equal((await get("/openapi.json")).json().paths["/"], undefined);
    const page = await get("/docs/");
    assert.equal(page.statusCode, 200);
    assert.match(page.body, /<title>t<\/title>/);
    assert.doesNotMatch(page.body, /Swagger UI|favicon/);
    assert.match(String(page.headers["content-security-policy"]), /default-src 'none';script-src 'self';/);
    const [icon] = /static\/theme\/[^"]+/.exec(page.body) ?? [];
    assert.match(String((await get(`/docs/${icon}`)).headers["content-type"]), /^image\/svg/);
    const script = (await get("/docs/static/swagger-initializer.js")).body;
    assert.match(script, /"layout":\s*"BaseLayout"/);
  });
});
