import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { afterEach, beforeEach, describe, it } from "node:test";
import { guardRoutes } from "#core/http/guard.ts";
import { localAuthenticator } from "#core/http/localOnly.ts";
import { tellOfRequests } from "#core/http/requestLog.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";
import { createMetrics, type Metrics } from "#core/observe/metrics.ts";

const token = "start-up-token";

describe("what is told of requests", () => {
  let app: HttpServer;
  let metrics: Metrics;
  let lines: Record<string, unknown>[];

  beforeEach(async () => {
    lines = [];
    const destination = new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)));
        done();
      },
    });
    metrics = createMetrics();
    const log = createLog({ level: "debug", name: "test", destination });
    app = await createHttpServer({ log, title: "t", version: "1", description: "d" });
    tellOfRequests(app, { log, metrics });
    guardRoutes(app, [localAuthenticator(redact(token))]);
    app.get("/v1/things/:id", { config: { access: "viewer" } }, async () => ({}));
    app.post("/v1/things", { config: { access: "trader" } }, async () => {
      throw new LockstepError("conflict", "no", { details: {} });
    });
    app.get("/health/live", { config: { access: "anyone" } }, async () => ({}));
  });
  afterEach(() => app.close());

  const headers = { host: "127.0.0.1:7600", authorization: `Bearer ${token}` };
  const told = () =>
    lines
      .filter(({ msg }) => msg === "request answered")
      .map(({ time, process, address, ms, request, ...rest }) => rest);

  it("is who asked for what and with which answer, of good ones and bad ones", async () => {
    await app.inject({ url: "/v1/things/7?secret=0xabc", headers: { ...headers, cookie: "secret=0xabc" } });
    await app.inject({ method: "POST", url: "/v1/things", headers, payload: { secret: "0xabc" } });
    await app.inject({ method: "POST", url: "/v1/things", headers: { host: headers.host } });
    await app.inject({ url: `/nothing/${"x".repeat(500)}`, headers });
    const { caller } = lines.find(({ path }) => path === "/v1/things/7") ?? {};
    assert.equal(typeof caller, "string");
    const common = { level: "info", msg: "request answered" };
    const got = { ...common, method: "GET", path: "/v1/things/7", route: "/v1/things/:id" };
    const posted = { ...common, method: "POST", path: "/v1/things", route: "/v1/things" };
    assert.deepEqual(told().slice(0, 3), [
      { ...got, status: 400, caller, code: "request-invalid" },
      {
        ...common,
        method: "POST",
        path: "/v1/things",
        route: "/v1/things",
        status: 400,
        caller,
        code: "request-invalid",
      },
      { ...posted, status: 401, code: "unauthorized" },
    ]);
    const lost = told()[3] ?? {};
    assert.deepEqual([lost.route, lost.status, String(lost.path).length], ["none", 404, 200]);
    assert.doesNotMatch(JSON.stringify(lines), /0xabc|start-up-token/);
  });

  it("calls a request by the id that its answer has, whatever id the caller brings", async () => {
    const brought = { ...headers, "x-request-id": "theirs" };
    const answers = [
      await app.inject({ url: "/v1/things/7", headers: brought }),
      await app.inject({ method: "POST", url: "/v1/things", headers: brought, payload: "{" }),
      await app.inject({ url: "/nothing", headers: brought }),
    ];
    const ids = answers.map((answer) => answer.headers["x-request-id"]);
    assert.deepEqual(
      lines.filter(({ msg }) => msg === "request answered").map(({ request }) => request),
      ids,
    );
    assert.equal(new Set([...ids, "theirs"]).size, 4);
  });

  it("is quiet about what machines ask for all day, as long as it is well", async () => {
    await app.inject({ url: "/health/live", headers: { host: headers.host } });
    assert.equal(told()[0]?.level, "debug");
    await app.inject({ url: "/health/live?x", method: "POST", headers: { host: headers.host } });
    assert.equal(told()[1]?.level, "info");
  });

  it("counts by route, so that made-up paths and methods make no new numbers", async () => {
    await app.inject({ url: "/v1/things/7", headers });
    await app.inject({ url: "/v1/things/8", headers });
    for (const path of ["a", "b"]) await app.inject({ url: `/${path}`, method: "DELETE", headers });
    const { body } = await metrics.text();
    assert.match(body, /http_request_seconds_count\{method="GET",route="\/v1\/things\/:id",status="200"\} 2/);
    assert.match(body, /http_request_seconds_count\{method="none",route="none",status="404"\} 2/);
  });
});
