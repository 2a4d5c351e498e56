import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { type Hex, recoverTypedDataAddress } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { z } from "zod";
import { createChain } from "#core/chain/createChain.ts";
import { gaugeEndpoints } from "#core/chain/metrics.ts";
import { chainConfigSchema } from "#core/config/chains.ts";
import { validatorConfigSchema } from "#core/config/validator.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { createValidator, type Validator } from "#relay";
import { recoverCheckpointSigner } from "#relay/protocol/checkpoint.ts";
import { headerTypedData } from "#relay/protocol/header.ts";
import { attestationSchema, headerAttestationSchema, type WireAttestation } from "#relay/schemas.ts";
import { until } from "../../support/until.ts";
import { names, openSites, type Sites, sendDirectly, validatorKeys } from "../harness.ts";
import { addressOf } from "../samples.ts";

const key = validatorKeys.one;
const oracle = addressOf(77);

describe("a validator on two chains", () => {
  let sites: Sites;
  let folder: string;
  let relayer: Server;
  let refusing = false;
  const pushed: WireAttestation[] = [];
  const lines: string[] = [];
  let validator: Validator;
  let url: string;

  let telling = false;
  const config = (pollMs = 10) =>
    validatorConfigSchema.parse({
      ...{ name: "one", key: { variable: "NONE" }, listen: { port: 0 }, pollMs, storeFile: join(folder, "one.sqlite") },
      relayerUrl: `http://127.0.0.1:${(relayer.address() as AddressInfo).port}`,
      chains: Object.fromEntries(names.map((name) => [name, chainOf(name)])),
    });
  const chainOf = (name: (typeof names)[number]) =>
    chainConfigSchema.parse({
      ...{ chainId: sites[name].local.chainId, endpoints: [endpointOf(name)], finality: { blocks: 0 } },
      ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
      ...{ gateway: sites[name].contracts.gateway, timelock: sites[name].contracts.timelock },
      ...(name === "beta" && { stateOracle: oracle }),
    });
  const endpointOf = (name: (typeof names)[number]) => {
    const { url } = sites[name];
    return telling ? { url, webSocket: url.replace("http", "ws") } : url;
  };
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLog({ level: "trace", name: "test", destination: sink });

  async function start(pollMs?: number): Promise<void> {
    const metrics = createMetrics();
    const chains = Object.fromEntries(
      names.map((name) => {
        const { agreement: _, ...chain } = chainOf(name);
        return [name, [createChain({ name, ...chain, pollMs: pollMs ?? 10 }, { log, clock: systemClock })]];
      }),
    );
    gaugeEndpoints(metrics, () => Object.values(chains).flat());
    validator = createValidator({ config: config(pollMs), key: redact(key), chains, clock: systemClock, log, metrics });
    ({ url } = await validator.start());
  }
  async function post(path: string, body: Record<string, unknown>) {
    const place = { originChainId: sites.alpha.local.chainId, destinationChainId: sites.beta.local.chainId };
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...place, generation: 0, epoch: "1", ...body }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const ask = (nonce: number, changes: Record<string, unknown> = {}) =>
    post("/attest", { nonce: String(nonce), ...changes });
  const askHeader = (height: bigint, changes: Record<string, unknown> = {}) =>
    post("/attest-header", { height: String(height), ...changes });
  const send = () => sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, "0x01");

  before(async () => {
    sites = await openSites();
    folder = mkdtempSync(join(tmpdir(), "lockstep-validator-"));
    relayer = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (!refusing) pushed.push(z.decode(attestationSchema, JSON.parse(Buffer.concat(chunks).toString())));
      response.writeHead(refusing ? 503 : 202).end("{}");
    });
    await new Promise<void>((resolve) => relayer.listen(0, "127.0.0.1", resolve));
    await start();
  });
  after(async () => {
    await validator?.stop();
    relayer?.closeAllConnections();
    await new Promise((resolve) => relayer?.close(resolve));
    rmSync(folder, { recursive: true, force: true });
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  it("has nothing to sign for an empty lane", async () => {
    const { status, body } = await ask(1);
    assert.deepEqual([status, body.code], [409, "checkpoint-unavailable"]);
  });

  it("pushes its newest checkpoint, signed for the destination's gateway", async () => {
    await send();
    const attestation = await until(() => pushed.find(({ nonce }) => nonce === 1n), "the first checkpoint");
    const { destinationChainId: chainId, destinationGateway: gateway, signer, signature, ...checkpoint } = attestation;
    assert.equal(signer, privateKeyToAddress(key));
    assert.equal(await recoverCheckpointSigner({ chainId, gateway }, checkpoint, signature), signer);
  });

  it("signs any nonce up to its head when asked, and its head when asked for more", async () => {
    await send();
    await send();
    assert.equal((await ask(2)).body.nonce, "2");
    assert.equal((await ask(1)).body.nonce, "1");
    // Asked before its next look, it looks.
    await validator.stop();
    await start(60_000);
    await send();
    assert.equal((await ask(99)).body.nonce, "4");
  });

  it("signs headers of final blocks for the destination's state oracle", async () => {
    const block = await sites.alpha.local.rpc<{ number: Hex; hash: Hex }>("eth_getBlockByNumber", ["latest", false]);
    const number = BigInt(block.number);
    const { body } = await askHeader(number);
    const { blockHash, signature, signer } = z.decode(
      headerAttestationSchema,
      body as z.input<typeof headerAttestationSchema>,
    );
    assert.equal(blockHash, block.hash);
    const header = { originChainId: sites.alpha.local.chainId, generation: 0, number, blockHash, epoch: 1n };
    const data = headerTypedData({ chainId: sites.beta.local.chainId, address: oracle }, header);
    assert.equal(await recoverTypedDataAddress({ ...data, signature }), signer);
    assert.equal((await askHeader(number + 1n)).body.code, "checkpoint-unavailable");
    assert.equal((await askHeader(number, { generation: 1 })).body.code, "attestation-refused");
    const back = { originChainId: sites.beta.local.chainId, destinationChainId: sites.alpha.local.chainId };
    assert.equal((await askHeader(1n, back)).body.code, "attestation-refused");
  });

  it("refuses lanes, generations and epochs that it does not know, and requests that make no sense", async () => {
    assert.equal((await ask(1, { originChainId: 5 })).body.code, "lane-unknown");
    assert.equal((await ask(1, { generation: 1 })).body.code, "attestation-refused");
    assert.equal((await ask(1, { epoch: "2" })).body.code, "attestation-refused");
    assert.equal((await ask(-1)).body.code, "request-invalid");
    assert.equal((await ask(0)).body.code, "checkpoint-unavailable");
  });

  it("brings what it could not push as soon as the relayer takes it, and the newest again after a restart", async () => {
    await validator.stop();
    refusing = true;
    await start();
    await send();
    await until(() => lines.some((line) => line.includes("relayer not reached")), "a push fails");
    pushed.length = 0;
    refusing = false;
    await until(() => pushed.some(({ nonce }) => nonce === 5n), "the newest is pushed");
    await validator.stop();
    pushed.length = 0;
    await start();
    await until(() => pushed.some(({ nonce }) => nonce === 5n), "the newest is pushed after a restart");
  });

  it("signs what is new when its node tells, not at the next poll, and shows its endpoints in metrics", async () => {
    await validator.stop();
    telling = true;
    await start(3_600_000);
    const scrape = async () => (await fetch(`${url}/metrics`)).text();
    await until(async () => /endpoint_socket_live\{chain="alpha",[^}]*\} 1/.test(await scrape()), "the socket is live");
    await send();
    await until(() => pushed.some(({ nonce }) => nonce === 6n), "the sixth is signed");
    assert.match(await scrape(), /lockstep_endpoint_state\{chain="beta",endpoint="127[^"]*",state="healthy"\} 1/);
    await validator.stop();
    telling = false;
    await start();
  });

  it("stops for good when what it signed contradicts a final block, and says so after a restart too", async () => {
    const { alpha } = sites;
    const snapshot = await alpha.local.snapshot();
    await send();
    await until(() => pushed.some(({ nonce }) => nonce === 7n), "the seventh is signed");
    await alpha.local.revert(snapshot);
    await sendDirectly(alpha, sites.beta, sites.beta.contracts.recorder, "0x99");
    await alpha.local.mine(1);
    await until(() => validator.health().status === "halted", "it halts");
    const halted = await ask(1);
    assert.deepEqual([halted.status, halted.body.code], [503, "validator-halted"]);
    assert.equal((await fetch(`${url}/health/ready`)).status, 503);
    assert.equal((await fetch(`${url}/health/live`)).status, 200);

    await validator.stop();
    await start();
    assert.equal(validator.health().status, "halted");
    assert.match(validator.health().reason ?? "", /contradict|signed/);
    assert.equal((await ask(1)).body.code, "validator-halted");
  });

  it("never shows its key", () => {
    assert.ok(lines.length > 5);
    for (const line of lines) assert.ok(!line.includes(key.slice(2, 40)));
  });
});
