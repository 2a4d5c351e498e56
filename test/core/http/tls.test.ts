import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type RequestOptions, request, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type CertificateRule, httpConfigSchema, type TlsConfig } from "#core/config/http.ts";
import { admitOrigins } from "#core/http/browsers.ts";
import { certificateAuthenticator } from "#core/http/credentials/certificates.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { readTls, renewTls } from "#core/http/tls.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "#test/support/databases.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const dayMs = 24 * 3_600_000;
const rules: CertificateRule[] = [
  { subject: { CN: "ops", O: "Example" }, role: "operator" },
  { subject: { CN: "desk" }, role: "trader", accounts: ["alice"] },
];

describe("TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-tls-"));
  const at = (name: string) => join(folder, name);
  const clock = createVirtualClock(Date.now());
  const apps: HttpServer[] = [];
  let tls: TlsConfig;

  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  function makeAuthority(name: string): void {
    openssl("req", "-x509", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${name}`);
  }
  function makeCertificate(name: string, subject: string, authority = "ca"): void {
    const files = ["-keyout", `${name}.key`, "-out", `${name}.csr`];
    openssl("req", ...newKey, ...files, "-subj", subject, "-addext", "subjectAltName=DNS:localhost");
    const by = ["-CA", `${authority}.pem`, "-CAkey", `${authority}.key`, "-CAcreateserial", "-copy_extensions", "copy"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-days", "1", "-out", `${name}.pem`);
  }

  before(() => {
    for (const authority of ["ca", "other"]) makeAuthority(authority);
    makeCertificate("server", "/CN=localhost");
    makeCertificate("next", "/CN=localhost");
    makeCertificate("ops", "/O=Example/CN=ops");
    makeCertificate("elsewhere", "/O=Elsewhere/CN=ops");
    makeCertificate("twice", "/CN=desk/CN=ops");
    makeCertificate("desk", "/CN=desk");
    makeCertificate("false", "/CN=desk", "other");
    for (const part of ["key", "pem"]) copyFileSync(at(`server.${part}`), at(`live.${part}`));
    tls = {
      ...{ certFile: at("live.pem"), keyFile: at("live.key"), clientCaFile: at("ca.pem") },
      requireClientCertificate: false,
    };
  });
  after(async () => {
    for (const app of apps) await app.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function listen(config: TlsConfig) {
    const app = await createHttpServer({
      log: quietLog,
      title: "t",
      version: "1",
      description: "d",
      tls: readTls(config),
    });
    apps.push(app);
    await admitOrigins(app, ["https://page.example"]);
    guardRoutes(app, [certificateAuthenticator({ rules: () => rules, clock })]);
    app.get("/v1/it", { config: { access: "viewer" } }, async ({ caller }) => caller);
    app.post("/v1/it", { config: { access: "viewer" } }, async () => ({}));
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as { port: number };
    const ask = (client?: string, more: RequestOptions = {}) => get({ port, ...clientOf(client), ...more });
    return { app, port, ask };
  }

  const clientOf = (client: string | undefined) =>
    client === undefined ? {} : { cert: readFileSync(at(`${client}.pem`)), key: readFileSync(at(`${client}.key`)) };

  function get(
    options: RequestOptions,
  ): Promise<{ status: number; body: Record<string, unknown>; headers: object; serial: string }> {
    return new Promise((resolve, reject) => {
      const ca = readFileSync(at("ca.pem"));
      const sent = request({
        host: "127.0.0.1",
        servername: "localhost",
        path: "/v1/it",
        ca,
        agent: false,
        ...options,
      });
      sent.on("error", reject);
      sent.on("response", (answer) => {
        const serial = (answer.socket as import("node:tls").TLSSocket).getPeerCertificate().serialNumber;
        let text = "";
        answer.on("data", (chunk) => {
          text += chunk;
        });
        answer.on("end", () =>
          resolve({
            status: answer.statusCode ?? 0,
            body: text === "" ? {} : JSON.parse(text),
            headers: answer.headers,
            serial,
          }),
        );
      });
      sent.end();
    });
  }

  it("lets in whose certificate's subject has a role, whole", async () => {
    const { ask } = await listen(tls);
    const callerOf = async (client: string) => {
      const { until, ...caller } = (await ask(client)).body;
      assert.ok(Number(until) > Date.now() && Number(until) <= Date.now() + dayMs);
      return caller;
    };
    assert.deepEqual(await callerOf("ops"), { id: "certificate:ops,O=Example", role: "operator" });
    assert.deepEqual(await callerOf("desk"), { id: "certificate:desk", role: "trader", accounts: ["alice"] });
    for (const client of ["elsewhere", "twice", "server"]) assert.equal((await ask(client)).status, 403, client);
    assert.equal((await ask("false")).status, 401, "by another authority");
    assert.equal((await ask()).status, 401);
    const { headers } = await ask("ops");
    assert.equal((headers as Record<string, string>)["strict-transport-security"], "max-age=31536000");
  });

  it("refuses the connection without a certificate where one is required", async () => {
    const { ask } = await listen({ ...tls, requireClientCertificate: true });
    assert.equal((await ask("ops")).status, 200);
    for (const client of [undefined, "false"]) await assert.rejects(ask(client));
    await assert.rejects(ask("ops", { maxVersion: "TLSv1.1" }));
  });

  it("does not take a certificate past its end", async () => {
    const { ask } = await listen(tls);
    assert.equal((await ask("ops")).status, 200);
    clock.advance(2 * dayMs);
    assert.match(String((await ask("ops")).body.detail), /has expired/);
    clock.advance(-2 * dayMs);
  });

  it("keeps pages of others from using a certificate that the browser adds unasked", async () => {
    const { ask, port } = await listen(tls);
    const from = (origin: string, method = "POST") =>
      ask("ops", { method, headers: { host: `localhost:${port}`, origin } });
    for (const origin of ["https://evil.example", "null", `http://localhost:${port}`, "https://localhost"]) {
      assert.equal((await from(origin)).body.code, "origin-refused", origin);
    }
    assert.equal((await from(`https://localhost:${port}`)).status, 200);
    const admitted = await from("https://page.example");
    const headers = admitted.headers as Record<string, string>;
    assert.deepEqual([admitted.status, headers["access-control-allow-origin"]], [200, "https://page.example"]);
    assert.equal(headers["access-control-allow-credentials"], undefined);
    assert.equal(headers["set-cookie"], undefined);
  });

  it("believes certificates of clients by another authority once that is the one", async () => {
    const { app, ask } = await listen(tls);
    assert.deepEqual([(await ask("desk")).status, (await ask("false")).status], [200, 401]);
    renewTls(app.server as unknown as Server, { ...tls, clientCaFile: at("other.pem") })();
    assert.deepEqual([(await ask("desk")).status, (await ask("false")).status], [401, 200]);
  });

  it("shows later connections a new certificate, and goes on with the old one when the new one is none", async () => {
    const { app, ask } = await listen(tls);
    const server = app.server as unknown as Server;
    const { serial } = await ask("ops");
    for (const part of ["key", "pem"]) copyFileSync(at(`next.${part}`), at(`live.${part}`));
    renewTls(server, tls)();
    const renewed = await ask("ops");
    assert.notEqual(renewed.serial, serial);
    assert.equal(renewed.status, 200, "clients' certificates are still asked for");
    copyFileSync(at("ops.key"), at("live.key"));
    assert.throws(
      () => renewTls(server, tls),
      (error) => isLockstepError(error, "config-invalid"),
    );
    writeFileSync(at("live.pem"), "nothing");
    assert.throws(
      () => renewTls(server, tls),
      (error) => isLockstepError(error, "config-invalid"),
    );
    assert.equal((await ask("ops")).serial, renewed.serial);
  });
});

describe("what the configuration says of access", () => {
  const field = (http: object) => httpConfigSchema.safeParse({ port: 1, ...http }).error?.issues[0]?.path.join(".");
  const tls = { certFile: "c", keyFile: "k" };
  const certificates = [{ subject: { CN: "ops" }, role: "viewer" }];

  it("is refused where it would leave open what it seems to close", () => {
    for (const [wanted, http] of [
      ["host", { host: "0.0.0.0" }],
      ["host", { host: "example.com", access: {} }],
      ["tls", { tls }],
      ["cors", { cors: { origins: ["https://a.example"] } }],
      ["access.certificates", { access: { certificates }, tls }],
      ["access.certificates.0.subject", { access: { certificates: [{ subject: { O: "x" }, role: "viewer" }] } }],
      ["tls.requireClientCertificate", { access: {}, tls: { ...tls, requireClientCertificate: true } }],
      ["cors.origins.0", { access: {}, cors: { origins: ["*"] } }],
      ["cors.origins.0", { access: {}, cors: { origins: ["https://a.example/"] } }],
      ["access.signatureWindowSeconds", { access: { signatureWindowSeconds: 3_600 } }],
      [undefined, { host: "0.0.0.0", access: {} }],
      [undefined, { host: "::", access: { certificates }, tls: { ...tls, clientCaFile: "a" } }],
    ] as const) {
      assert.equal(field(http), wanted, JSON.stringify(http));
    }
  });
});

describe("web pages", () => {
  it("are told what they may do with answers, and the documentation takes nothing from elsewhere", async () => {
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    await admitOrigins(app, []);
    guardRoutes(app, []);
    app.get("/v1/it", { config: { access: "viewer" } }, async () => ({}));
    for (const url of ["/v1/it", "/v1/nothing", "/openapi.json"]) {
      const { headers } = await app.inject({ url });
      assert.equal(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'", url);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["access-control-allow-origin"], undefined);
    }
    const preflight = await app.inject({
      ...{ method: "OPTIONS", url: "/v1/it" },
      headers: { origin: "https://page.example", "access-control-request-method": "GET" },
    });
    assert.equal(preflight.json().code, "origin-refused");
    const page = await app.inject({ url: "/docs/" });
    const policy = String(page.headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /https:|\*|script-src[^;]*unsafe/);
    assert.doesNotMatch(page.body, /<script[^>]*>\s*[^<\s]|\son\w+=/, "a script in the page would not run");
    await app.close();
  });

  it("of admitted origins get an answer to their preflight before credentials are asked for", async () => {
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    await admitOrigins(app, ["https://page.example"]);
    guardRoutes(app, []);
    app.get("/v1/it", { config: { access: "viewer" } }, async () => ({}));
    const headers = { origin: "https://page.example", "access-control-request-method": "PUT" };
    const preflight = await app.inject({ method: "OPTIONS", url: "/v1/it", headers });
    assert.equal(preflight.statusCode, 204);
    assert.equal(preflight.headers["access-control-allow-origin"], "https://page.example");
    const refused = await app.inject({ url: "/v1/it", headers: { origin: "https://page.example" } });
    assert.deepEqual(
      [refused.statusCode, refused.headers["access-control-allow-origin"]],
      [401, "https://page.example"],
    );
    assert.equal(refused.headers["access-control-expose-headers"], "lockstep-position, x-request-id");
    await app.close();
  });
});
