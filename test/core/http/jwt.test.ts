import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from "jose";
import { httpConfigSchema } from "#core/config/http.ts";
import { createJwks } from "#core/http/credentials/jwks.ts";
import { jwtAuthenticator } from "#core/http/credentials/jwt.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { startAnswering } from "#test/support/answering.ts";
import { quietLog } from "#test/support/databases.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

// The key set's cache goes by the machine's clock, so tokens are made for about now.
const start = Math.floor(Date.now() / 1_000) * 1_000;
const [issuer, audience] = ["https://issuer.example/", "lockstep"];
const base = { sub: "someone", role: "operator", accounts: ["alice"] };
const parse = (jwt: object) => httpConfigSchema.parse({ port: 0, access: { jwt } }).access!.jwt!;

type SigningKey = Parameters<SignJWT["sign"]>[0];

describe("access tokens", async () => {
  const [good, other, ec, stranger] = await Promise.all([
    generateKeyPair("RS256", { extractable: true }),
    generateKeyPair("RS256", { extractable: true }),
    generateKeyPair("ES256", { extractable: true }),
    generateKeyPair("RS256"),
  ]);
  const publicOf = async ({ publicKey }: typeof good, kid: string, alg: string) => ({
    ...(await exportJWK(publicKey)),
    ...{ kid, alg, use: "sig" },
  });
  const open = { ...(await exportJWK(good.publicKey)), kid: "open" };
  const keySet = {
    keys: [
      open,
      await publicOf(good, "good", "RS256"),
      await publicOf(other, "other", "RS256"),
      await publicOf(ec, "ec", "ES256"),
    ],
  };
  const clock = createVirtualClock(start);
  const host = await startAnswering();
  const apps: HttpServer[] = [];
  after(async () => {
    for (const app of apps) await app.close();
    await host.close();
  });

  async function serverFor(change: object = {}) {
    const config = parse({ issuer, audience, jwks: { url: host.url }, ...change });
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    apps.push(app);
    guardRoutes(app, [jwtAuthenticator({ config, keys: createJwks(config.jwks, clock), clock })]);
    app.get("/v1/it", { config: { access: "viewer" } }, async ({ caller }) => caller);
    return async (token: string) => {
      const answer = await app.inject({ url: "/v1/it", headers: { authorization: `Bearer ${token}` } });
      return { status: answer.statusCode, ...answer.json() };
    };
  }
  const seconds = () => Math.floor(clock.now() / 1_000);
  const make = (claims: object = {}, header: object = {}, key: SigningKey = good.privateKey) =>
    new SignJWT({ ...base, iss: issuer, aud: audience, exp: seconds() + 300, ...claims })
      .setProtectedHeader({ alg: "RS256", kid: "good", ...header } as { alg: string })
      .sign(key);
  let ask: Awaited<ReturnType<typeof serverFor>>;
  before(async () => {
    host.answer = (response) => response.end(JSON.stringify(keySet));
    ask = await serverFor();
  });

  it("let in whoever the issuer says, with the role and accounts it says", async () => {
    const exp = seconds() + 300;
    const { status, ...caller } = await ask(await make({ exp }));
    const until = (exp + 5) * 1_000;
    assert.deepEqual([status, caller], [200, { id: "jwt:someone", role: "operator", accounts: ["alice"], until }]);
    assert.equal((await ask(await make({}, { alg: "ES256", kid: "ec" }, ec.privateKey))).status, 200);
    assert.equal((await ask(await make({ role: ["viewer", "nobody", "trader"] }))).role, "trader");
    const nested = await serverFor({ roleClaim: ["realm", "roles"], roles: { "lockstep-boss": "admin" } });
    assert.equal((await nested(await make({ realm: { roles: ["lockstep-boss"] } }))).role, "admin");
    assert.equal((await nested(await make({ role: "admin" }))).code, "forbidden");
    const scoped = await serverFor({ requireAccounts: true });
    assert.deepEqual((await scoped(await make({ accounts: undefined }))).accounts, []);
  });

  it("are refused when anything about them is not right", async () => {
    const longer = await importJWK(await exportJWK(good.privateKey), "RS512");
    const spki = new TextEncoder().encode(await exportSPKI(good.publicKey));
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { ...base, iss: issuer, aud: audience, exp: seconds() + 300 };
    const [head = "", body = "", signature = ""] = (await make()).split(".");
    const jwk = await exportJWK(stranger.publicKey);
    const cases: [string, string | Promise<string>][] = [
      ["alg none", `${encode({ alg: "none" })}.${encode(claims)}.`],
      ["alg NonE", `${encode({ alg: "NonE", kid: "good" })}.${encode(claims)}.${signature}`],
      ["HS256 with the public key", make({}, { alg: "HS256" }, spki)],
      ["HS256 without kid", make({}, { alg: "HS256", kid: undefined }, spki)],
      ["wrong key under a right kid", make({}, {}, stranger.privateKey)],
      ["kid of another key", make({}, { kid: "other" })],
      ["kid of a key of another kind", make({}, { kid: "ec" })],
      ["unknown kid", make({}, { kid: "nobody" })],
      ["kid that is a path", make({}, { kid: "../../dev/null" })],
      ["key brought along", make({}, { kid: "x", jwk }, stranger.privateKey)],
      ["key set brought along", make({}, { kid: "x", jku: "http://127.0.0.1:1/" }, stranger.privateKey)],
      ["algorithm that is not allowed", make({}, { alg: "RS512", kid: "open" }, longer)],
      ["critical extension", `${encode({ alg: "RS256", kid: "good", crit: ["x"], x: 1 })}.${body}.${signature}`],
      ["wrong audience", make({ aud: "other" })],
      ["wrong audiences", make({ aud: ["lockstep2", "x"] })],
      ["no audience", make({ aud: undefined })],
      ["wrong issuer", make({ iss: "https://issuer.example" })],
      ["no issuer", make({ iss: undefined })],
      ["expired", make({ exp: seconds() - 6 })],
      ["no end", make({ exp: undefined })],
      ["end as text", make({ exp: "9999999999" })],
      ["not yet", make({ nbf: seconds() + 6 })],
      ["no subject", make({ sub: undefined })],
      ["unprintable subject", make({ sub: "a\nb" })],
      ["accounts that are no list", make({ accounts: "alice" })],
      ["accounts that are no texts", make({ accounts: [1] })],
      ["changed claims", `${head}.${encode({ ...claims, role: "admin" })}.${signature}`],
      ["changed header", `${encode({ alg: "ES256", kid: "ec" })}.${body}.${signature}`],
      ["no signature", `${head}.${body}.`],
      ["nested", make({}).then((inner) => `${head}.${Buffer.from(inner).toString("base64url")}.${signature}`)],
      ["encrypted", `${head}.${body}.${signature}.${signature}.${signature}`],
      ["very long", make({ padding: "x".repeat(9_000) })],
      ["rubbish", "e30.e30.e30"],
    ];
    for (const [what, token] of cases) {
      const answer = await ask(await token);
      assert.deepEqual([answer.status, answer.code], [401, "unauthorized"], what);
    }
    for (const role of [undefined, "root", "constructor", "__proto__", ["x"], { admin: true }, 7]) {
      assert.equal((await ask(await make({ role }))).code, "forbidden", JSON.stringify(role));
    }
    assert.equal(
      (await ask(await make({ exp: seconds() - 3, nbf: seconds() + 3 }))).status,
      200,
      "clocks differ a little",
    );
  });

  it("end with their time although they were right a moment ago", async () => {
    const token = await make({ exp: seconds() + 2 });
    assert.equal((await ask(token)).status, 200);
    clock.advance(7_000);
    assert.match((await ask(token)).detail, /has expired/);
  });

  it("cannot be judged while the keys cannot be had, which is not the caller's fault", async () => {
    const token = await make();
    const answers: [string, typeof host.answer][] = [
      ["an error", (response) => response.writeHead(500).end("{}")],
      ["a redirect", (response) => response.writeHead(302, { location: `${host.url}elsewhere` }).end()],
      ["no JSON", (response) => response.end("<html>")],
      ["no key set", (response) => response.end(JSON.stringify({ keys: "none" }))],
      ["too many keys", (response) => response.end(JSON.stringify({ keys: Array(101).fill(keySet.keys[0]) }))],
      ["an answer too long", (response) => response.end(JSON.stringify({ ...keySet, x: "x".repeat(300_000) }))],
      ["a connection that ends", (response) => response.destroy()],
    ];
    for (const [what, answer] of answers) {
      host.answer = answer;
      const askAnew = await serverFor();
      const { status, code, retryable } = await askAnew(token);
      assert.deepEqual([status, code, retryable], [503, "identity-provider-unreachable", true], what);
      const before = host.requests;
      assert.equal((await askAnew(token)).status, 503);
      assert.equal(host.requests, before, "nobody is asked again at once");
      host.answer = (response) => response.end(JSON.stringify(keySet));
      clock.advance(2_000);
      assert.equal((await askAnew(token)).status, 200, what);
      host.answer = (response) => response.destroy();
      assert.equal((await askAnew(await make({ sub: "another" }))).status, 200, "the keys are remembered");
    }
  });

  it("are made by issuers whose key set is asked for over TLS, with algorithms that share no secret", () => {
    const refused = (change: object) => {
      const jwt = { issuer, audience, jwks: { url: "https://issuer.example/keys" }, ...change };
      return httpConfigSchema.safeParse({ port: 0, access: { jwt } }).success === false;
    };
    assert.ok(!refused({}));
    assert.ok(refused({ jwks: { url: "http://issuer.example/keys" } }));
    assert.ok(refused({ jwks: { url: "file:///etc/passwd" } }));
    for (const algorithm of ["none", "HS256", "HS512", "dir"])
      assert.ok(refused({ algorithms: [algorithm] }), algorithm);
    assert.ok(refused({ clockToleranceSeconds: 3_600 }));
  });
});
