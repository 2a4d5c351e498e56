import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { before, describe, it } from "node:test";
import { promisify } from "node:util";
import { JsonRpcProvider, Wallet } from "ethers";
import { createClient, createParty, createSecret, fromEthers } from "#app/client/index.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { bridgeSide } from "./bridgeNetwork.ts";

const run = promisify(execFile);
const home = await anyHome();
const examples = readdirSync(new URL("../../docs/examples", import.meta.url));

describe("the client", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  before(() => {
    test = open();
  });
  const clientOf = ({ network }: TestNetwork) => createClient({ url: network.api, token: network.token() });

  for (const file of examples) {
    it(`does what the example ${file} shows`, { timeout: 120_000 }, async () => {
      const path = new URL(`../../docs/examples/${file}`, import.meta.url).pathname;
      const { stdout, stderr } = await run(process.execPath, [path, test.network.api, test.network.layout.dataDir]);
      assert.match(stdout, /^[0-9a-f-]{36} (completed|delivered)$/m);
      assert.equal(stderr, "");
    });
  }

  it("drives an initiator with an ethers signer who never holds coin for gas: permit, signed lock, claim", async () => {
    const client = clientOf(test);
    const alpha = bridgeSide(test, "alpha");
    const token = await alpha.deploy("contracts/mocks/PermitToken.sol/PermitToken");
    const wallet = Wallet.createRandom();
    const chains = Object.entries(test.network.chains);
    const providers = new Map(
      chains.map(([name, { url }]) => [
        name,
        new JsonRpcProvider(url, undefined, { staticNetwork: true, pollingInterval: 50, cacheTimeout: -1 }),
      ]),
    );
    const { timelock } = test.network.chains.beta!.deployment;
    const beta = providers.get("beta")!;
    await alpha.send("deployer", {
      to: token,
      data: `0x40c10f19${wallet.address.slice(2).padStart(64, "0")}${(500).toString(16).padStart(64, "0")}` as Hex,
    });
    // For its own claim; the lock costs it nothing.
    await beta.send("hardhat_setBalance", [wallet.address, "0xde0b6b3a7640000"]);
    const secret = createSecret();
    const party = createParty({
      client,
      secret,
      signer: await fromEthers(
        Object.fromEntries([...providers].map(([name, provider]) => [name, wallet.connect(provider)])),
      ),
      readers: {
        beta: { call: async ({ to, data, blockTag }) => ({ data: (await beta.call({ to, data, blockTag })) as Hex }) },
      },
      timelocks: { beta: timelock },
    });
    const wanted = { asset: { type: "native" }, amount: 10n ** 15n } as const;
    const swap = await client.swaps.request({
      source: { chain: "alpha", asset: { type: "erc20", address: token }, amount: 500n },
      target: { chain: "beta", ...wanted },
      initiator: { source: wallet.address, target: wallet.address },
      hashlock: secret.hashlock,
      counterparty: { account: "bob" },
    });
    assert.equal(await party.step(swap, wanted), "signed");
    const locked = await client.swaps.until(swap.id, ({ next }) => next?.action === "claim-target");
    const greedy = { ...wanted, amount: wanted.amount + 1n };
    await assert.rejects(party.step(locked, greedy), (error) => isLockstepError(error, "lock-unverified"));
    const stranger = createParty({
      client,
      signer: { ...(await fromEthers({ beta: Wallet.createRandom().connect(beta) })) },
    });
    assert.equal(await stranger.step(locked, wanted), "nothing");
    assert.equal(await party.step(locked, wanted), "sent");
    const ended = await client.swaps.until(swap.id, ({ status }) => status === "completed", { timeoutMs: 60_000 });
    assert.equal(ended.source.amount, 500n);
    for (const provider of providers.values()) provider.destroy();
  });

  it("throws the service's refusals under their codes, with the field", async () => {
    const client = clientOf(test);
    await assert.rejects(
      client.messages.send({ origin: "alpha", destination: "nowhere", recipient: "0x00", payload: "0x" } as never),
      (error) => {
        assert.ok(isLockstepError(error, "request-invalid"));
        assert.equal(error.details.field, "recipient");
        return true;
      },
    );
    const stranger = createClient({ url: test.network.api, token: "wrong" });
    await assert.rejects(stranger.halts.put({ reason: "no" }), (error) => isLockstepError(error, "unauthorized"));
    const lost = createClient({ url: "http://127.0.0.1:1", retries: 0 });
    await assert.rejects(lost.swaps.list(), (error) => isLockstepError(error, "service-unreachable"));
  });
});
