import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { ensureKey } from "#app/network/keys.ts";
import { startLocalChain } from "#app/network/localChain.ts";
import type { DeployedChain } from "#app/network/settings.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { type SwapAnswer, swapRequest } from "./requests.ts";

describe("a chain that begins anew under the same port and id", () => {
  let test: TestNetwork;
  const stops: (() => Promise<void>)[] = [];
  before(async () => {
    test = await openNetwork();
  });
  after(async () => {
    await test?.close();
    for (const stop of stops) await stop();
  });

  it("stops the service with words about how to reset, and nothing old is sent to it", async () => {
    const { network, api } = test;
    const { service, layout } = network;
    await service.stop();
    await service.start({ LOCKSTEP_CRASH_AT: "signed/swap.lock-source" });
    await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    await service.ended();

    const replace = async ([name, chain]: [string, DeployedChain]) => {
      await chain.child.stop();
      const port = Number(new URL(chain.url).port);
      const again = await startLocalChain({ name, port, layout, deployer: ensureKey(layout.keys, "deployer") });
      stops.push(() => again.child.stop());
    };
    await Promise.all(Object.entries(network.chains).map(replace));
    await assert.rejects(service.start(), /ended while starting/);
    const log = readFileSync(layout.log("service"), "utf8");
    assert.match(log, /chain-replaced/);
    assert.match(log, /--reset/);
    for (const name of Object.keys(network.chains)) {
      assert.equal(await chainFacts(network, name).client.getBlockNumber(), 0n, `${name} got a transaction`);
    }
  });
});
