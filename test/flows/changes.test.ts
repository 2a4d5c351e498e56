import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { encodeFunctionData } from "viem";
import type { MessageAnswer } from "#app/demo/api.ts";
import { deployGatewayCode } from "#app/network/deploy.ts";
import { createDeployer } from "#app/network/deployer.ts";
import { ensureKey } from "#app/network/keys.ts";
import type { Network } from "#app/network/network.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest } from "./requests.ts";

type Answer = MessageAnswer & { reason: { code: string; message: string } };
const timeoutMs = 30_000;

const home = await anyHome();

describe("a network in which something changes while messages flow", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  before(() => {
    test = open();
  });

  const send = () => test.api.post<Answer>("/v1/messages", messageRequest(test.network));
  const delivered = ({ status }: Answer) => status === "delivered";

  it("delivers everything with one validator of three stopped", async () => {
    await test.network.validators[0]?.stop();
    const { id } = await send();
    await test.api.until<Answer>(`/v1/messages/${id}`, delivered, timeoutMs);
  });

  it("waits with two validators stopped, says for whom, and goes on when one returns", async () => {
    const recorded = chainFacts(test.network, "beta").recorded;
    const before = await recorded();
    await test.network.validators[1]?.stop();
    const { id } = await send();
    const waiting = await test.api.until<Answer>(
      `/v1/messages/${id}`,
      ({ reason }) => reason.code === "awaiting-quorum",
      timeoutMs,
    );
    assert.equal(waiting.status, "final");
    assert.match(waiting.reason.message, /validator-1/);
    assert.match(waiting.reason.message, /validator-2/);
    assert.equal(await recorded(), before);
    await test.network.validators[1]?.start();
    await test.api.until<Answer>(`/v1/messages/${id}`, delivered, timeoutMs);
    assert.equal(await recorded(), before + 1n);
    await test.network.validators[0]?.start();
  });

  it("loses no message while both gateways are upgraded", async () => {
    const { network, api } = test;
    const recorded = chainFacts(network, "beta").recorded;
    const before = await recorded();
    const sent: Promise<Answer>[] = [];
    for (const name of ["alpha", "beta"]) {
      sent.push(send(), send());
      await upgrade(network, name);
      sent.push(send());
    }
    for (const { id } of await Promise.all(sent)) await api.until<Answer>(`/v1/messages/${id}`, delivered, timeoutMs);
    assert.equal(await recorded(), before + BigInt(sent.length));
  });
});

/** Puts another deployment of both halves behind a chain's gateway. */
async function upgrade(network: Network, name: string): Promise<void> {
  const { url, deployment } = network.chains[name]!;
  const deployer = createDeployer({ url, key: ensureKey(network.layout.keys, "deployer").key });
  const implementation = await deployGatewayCode(deployer);
  const args = [implementation, "0x"] as const;
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "upgradeToAndCall", args });
  await deployer.send(deployment.gateway, data);
}
