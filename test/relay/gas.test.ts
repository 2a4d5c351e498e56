import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Hex, size } from "viem";
import { type DeliveryShape, deliverCalldataBytes, deliveryGas, retryGas, sendGas } from "#relay/gas.ts";
import { encodeRetry, encodeSendMessage } from "#relay/protocol/calls.ts";
import { type Appended, decodeGatewayLogs } from "#relay/protocol/logs.ts";
import { accounts, chainLogs, openChain, type TestChain } from "../contracts/chains.ts";
import { appendedIn, connectGateway, deliveryOf, deployGateway, validators } from "../contracts/lane.ts";

/** The formula against the contract, with recipients that use up whatever they get: the worst that can happen. */
describe("gas of a delivery", () => {
  let alpha: TestChain;
  let beta: TestChain;
  let origin: { chainId: number; gateway: Hex };
  let destination: { chainId: number; gateway: Hex };
  let burner: Hex;
  let rejecter: Hex;
  before(async () => {
    [alpha, beta] = await Promise.all([openChain("alpha"), openChain("beta")]);
    origin = { chainId: alpha.chainId, gateway: await deployGateway(alpha, accounts[0]!.address) };
    destination = { chainId: beta.chainId, gateway: await deployGateway(beta, accounts[0]!.address) };
    await connectGateway(alpha, origin.gateway, destination);
    await connectGateway(beta, destination.gateway, origin);
    burner = await beta.deploy("contracts/mocks/HostileRecipients.sol/GasBurner");
    rejecter = await beta.deploy("contracts/mocks/HostileRecipients.sol/RevertingRecipient");
  });
  after(() => Promise.all([alpha?.close(), beta?.close()]));

  async function send(recipient: Hex, payloadBytes: number, gasLimit: bigint): Promise<Appended> {
    const payload: Hex = `0x${"ff".repeat(payloadBytes)}`;
    const data = encodeSendMessage({ chainId: destination.chainId, address: recipient }, payload, gasLimit);
    const receipt = await alpha.send(1, { to: origin.gateway, data, gas: sendGas(payloadBytes) });
    return appendedIn(receipt.logs)[0]!;
  }

  const cases = [
    { count: 1, payloadBytes: 0, gasLimit: 20_000n },
    { count: 1, payloadBytes: 16_384, gasLimit: 20_000n },
    { count: 1, payloadBytes: 16_384, gasLimit: 5_000_000n },
    { count: 3, payloadBytes: 64, gasLimit: 4_500_000n },
    { count: 7, payloadBytes: 16_384, gasLimit: 100_000n },
    { count: 50, payloadBytes: 32, gasLimit: 200_000n },
    { count: 100, payloadBytes: 256, gasLimit: 20_000n },
  ];
  for (const { count, payloadBytes, gasLimit } of cases) {
    it(`is enough for ${count} of ${payloadBytes} bytes and ${gasLimit} gas that all fail, and not wasteful`, async (t) => {
      const messages: Appended[] = [];
      // One reason of full length among them, which costs more to record than an empty one.
      for (let n = 0; n < count; n++) messages.push(await send(n === 1 ? rejecter : burner, payloadBytes, gasLimit));
      const { data } = await deliveryOf(origin, destination, messages);
      const shape: DeliveryShape = {
        messages: messages.map(() => ({ gasLimit, payloadBytes })),
        ...{ validators: validators.length, signatures: 2, laterIds: 0 },
      };
      assert.equal(size(data), deliverCalldataBytes(shape));
      const gas = deliveryGas(shape);
      const receipt = await beta.send(2, { to: destination.gateway, data, gas });
      const failed = decodeGatewayLogs(chainLogs(receipt.logs)).filter(({ kind }) => kind === "failed");
      assert.equal(failed.length, count);
      t.diagnostic(`limit ${gas}, used ${receipt.gasUsed}`);
      const unusedByRejecter = count > 1 ? gasLimit : 0n;
      const spare = gas - receipt.gasUsed - unusedByRejecter;
      assert.ok(spare < 100_000n + BigInt(count) * 15_000n + gas / 10n, `${spare} of ${gas} to spare`);
    });
  }

  it("is enough for a retry that uses all it gets of the limit", async () => {
    const message = await send(rejecter, 1_000, 100_000n);
    const { data } = await deliveryOf(origin, destination, [message]);
    const shape = {
      messages: [{ gasLimit: 100_000n, payloadBytes: 1_000 }],
      validators: 3,
      signatures: 2,
      laterIds: 0,
    };
    await beta.send(2, { to: destination.gateway, data, gas: deliveryGas(shape) });
    const again = encodeRetry(origin, message.nonce, message.message);
    const gas = retryGas({ gasLimit: 100_000n, payloadBytes: 1_000 });
    await assert.rejects(beta.send(2, { to: destination.gateway, data: again, gas }), /RetryFailed|reverted/);
  });
});
