import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { z } from "zod";
import { defendLocally } from "#core/http/localOnly.ts";
import { problemSchema } from "#core/http/problem.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
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
    defendLocally(app, redact(token));
    const body = z.strictObject({ amount: uint, leg: z.strictObject({ chain: z.string() }) });
    const problems = { "4xx": problemSchema };
    app.post(
      "/v1/things",
      { schema: { body, response: { 200: z.object({ amount: uint }), ...problems } } },
      async (request) => {
        done.push("posted");
        return { amount: request.body.amount + 1n };
      },
    );
    app.post("/v1/poke", {}, async () => {
      done.push("poked");
      return {};
    });
    app.post("/v1/signed", { config: { selfAuthenticated: true } }, async () => ({}));
    app.get("/v1/known", {}, async () => {
      throw new LockstepError("balance-insufficient", "needs more", {
        details: { field: "source.amount", needed: 2n ** 70n },
      });
    });
    app.get("/v1/unknown", {}, async () => {
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
      [{ ...good, extra: 1 }, "body"],
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
    const page = await app.inject({ method: "GET", url: "/docs/", headers: { host } });
    assert.equal(page.statusCode, 200);
  });
});
