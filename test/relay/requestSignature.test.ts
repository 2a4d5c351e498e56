import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { numberToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createPostJson } from "#core/kernel/postJson.ts";
import { redact } from "#core/kernel/redacted.ts";
import { untraced } from "#core/observe/tracing.ts";
import { createAsking, createAskValidator } from "#relay/ask.ts";
import { createRequestCheck, createRequestSigner, requestHeader } from "#relay/requestSignature.ts";
import { createPace } from "#relay/validator/pace.ts";
import { createValidatorServer, type ValidatorServer } from "#relay/validator/server.ts";
import { testCertificates } from "../support/certificates.ts";
import { quietLog } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { createVirtualClock } from "../support/virtualClock.ts";

const relayer = privateKeyToAccount(localKey(1));
const stranger = privateKeyToAccount(localKey(2));
const [validator, other] = [privateKeyToAccount(localKey(3)).address, privateKeyToAccount(localKey(4)).address];
const refused = (error: unknown) => isLockstepError(error, "unauthorized") || isLockstepError(error, "forbidden");

describe("who asks a validator", () => {
  const clock = createVirtualClock(1_800_000_000_000);
  const check = () => createRequestCheck({ validator, relayers: [relayer.address], clock });
  const signBy = (account: typeof relayer) =>
    createRequestSigner({ sign: (data) => account.signTypedData(data as never), clock });
  const header = async (account: typeof relayer, asked: { validator: Hex; path: string; body: string }) =>
    (await signBy(account)(asked))[requestHeader] ?? "";

  it("is known by the signature over this request to this validator, to the last byte", async () => {
    const texts = fc.string({ maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(texts, texts, texts, texts, async (path, body, otherPath, otherBody) => {
        const said = await header(relayer, { validator, path, body });
        assert.equal(check()({ path, body }, said), relayer.address);
        if (path !== otherPath) assert.throws(() => check()({ path: otherPath, body }, said), refused);
        if (body !== otherBody) assert.throws(() => check()({ path, body: otherBody }, said), refused);
        const elsewhere = await header(relayer, { validator: other, path, body });
        assert.throws(() => check()({ path, body }, elsewhere), refused);
        const strange = await header(stranger, { validator, path, body });
        assert.throws(() => check()({ path, body }, strange), refused);
      }),
      { numRuns: 15 },
    );
  });

  it("may ask once with one signature, and only while it is young", async () => {
    const asked = { path: "/attest", body: "{}" };
    const said = await header(relayer, { validator, ...asked });
    const same = check();
    same(asked, said);
    assert.throws(() => same(asked, said), refused);
    const later = await header(relayer, { validator, ...asked });
    clock.advance(30_001);
    assert.throws(() => check()(asked, later), refused);
    const ahead = await header(relayer, { validator, ...asked });
    clock.advance(-60_000);
    assert.throws(() => check()(asked, ahead), refused);
    clock.advance(60_000);
  });

  it("cannot be made up of a changed header", async () => {
    const asked = { path: "/attest", body: "{}" };
    const said = await header(relayer, { validator, ...asked });
    fc.assert(
      fc.property(fc.nat({ max: said.length - 1 }), fc.constantFrom(..."0123456789abcdefx "), (at, letter) => {
        const changed = said.slice(0, at) + letter + said.slice(at + 1);
        if (changed !== said) assert.throws(() => check()(asked, changed), refused);
      }),
    );
    for (const none of [undefined, "", "1 2 3", [said, said]]) assert.throws(() => check()(asked, none), refused);
  });
});

describe("the pace at which a validator answers", () => {
  it("is bounded for each who asks, and for nobody else", () => {
    const clock = createVirtualClock(1_800_000_000_000);
    const pace = createPace({ perSecond: 5, clock });
    for (let n = 0; n < 10; n++) pace("a");
    assert.throws(
      () => pace("a"),
      (error) => isLockstepError(error, "rate-limited"),
    );
    pace("b");
    clock.advance(400);
    pace("a");
    pace("a");
    assert.throws(() => pace("a"));
  });
});

describe("a validator that answers its relayers alone", () => {
  const { authority, serverCertificate, serverKey, clientCertificate, clientKey } = testCertificates;
  const seen: unknown[] = [];
  let server: ValidatorServer;
  let url = "";

  before(async () => {
    server = createValidatorServer({
      listen: { host: "127.0.0.1", port: 0 },
      tls: redact({
        ...{ ca: authority, cert: serverCertificate, key: serverKey },
        ...{ requestCert: true, rejectUnauthorized: true },
      }),
      check: createRequestCheck({ validator, relayers: [relayer.address], clock: systemClock }),
      pace: createPace({ perSecond: 1_000, clock: systemClock }),
      async attest(request) {
        seen.push(request);
        return attestation;
      },
      attestHeader: () => Promise.reject(new Error("nobody asks for headers")),
      health: () => ({ name: "one", status: "following", chains: [], lanes: [] }),
      log: quietLog,
    });
    ({ url } = await server.listen());
  });
  after(() => server.close());

  const tls = redact({ ca: authority, cert: clientCertificate, key: clientKey });
  const sign = (account: typeof relayer) =>
    createRequestSigner({ sign: (data) => account.signTypedData(data as never), clock: systemClock });
  const info = () => ({ name: "one", address: validator, weight: 1n, url });
  const ask = (asking: Omit<Parameters<typeof createAsking>[0], "around">) =>
    createAskValidator(createAsking({ ...asking, around: untraced.around }))(info(), request);

  it("answers one over TLS that knows it, and no other", async () => {
    assert.deepEqual(await ask({ timeoutMs: 10_000, tls, sign: sign(relayer) }), attestation);
    assert.equal(seen.length, 1);
    const refusal = (error: unknown) => isLockstepError(error, "attestation-refused");
    await assert.rejects(ask({ timeoutMs: 10_000, tls, sign: sign(stranger) }), refusal);
    await assert.rejects(ask({ timeoutMs: 10_000, tls }), refusal);
    await assert.rejects(ask({ timeoutMs: 10_000, tls: redact({ ca: authority }), sign: sign(relayer) }));
    await assert.rejects(ask({ timeoutMs: 10_000, sign: sign(relayer) }));
    assert.equal(seen.length, 1);
  });

  it("answers a request once, whoever brings it again", async () => {
    const post = createPostJson({ timeoutMs: 10_000, most: 10_000, tls });
    const body = JSON.stringify({ ...wireRequest });
    const headers = await sign(relayer)({ validator, path: "/attest", body });
    const at = new URL("/attest", url);
    assert.equal((await post(at, body, { headers })).status, 200);
    assert.equal((await post(at, body, { headers })).status, 401);
    assert.equal((await post(at, `${body} `, { headers })).status, 403);
    assert.equal((await post(at, "{", { headers })).status, 400);
    assert.equal((await post(new URL("/health/ready", url), "", { method: "GET" })).status, 200);
  });
});

const request = { originChainId: 1, destinationChainId: 2, generation: 1, epoch: 1n, nonce: 1n };
const wireRequest = { ...request, epoch: "1", nonce: "1" };
const attestation = {
  ...request,
  originGateway: numberToHex(1, { size: 20 }),
  destinationGateway: numberToHex(2, { size: 20 }),
  accumulator: numberToHex(3, { size: 32 }),
  signer: validator,
  signature: numberToHex(4, { size: 65 }),
};
