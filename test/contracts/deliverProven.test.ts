import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, size } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { BlockHeader } from "#core/chain/blockHeader.ts";
import { type DeliveryShape, deliverCalldataBytes, deliveryGas, headerGas } from "#relay/gas.ts";
import { headSlots } from "#relay/proof/headSlots.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { headerTypedData } from "#relay/protocol/header.ts";
import type { Appended } from "#relay/protocol/logs.ts";
import { encodeAttestHeader, encodeDeliverProven } from "#relay/protocol/proven.ts";
import { headerAt, proofAt } from "#test/support/state.ts";
import { accounts } from "./chains.ts";
import { appendedBy, authorityOf, openPair, type Side } from "./gatewayPair.ts";
import { validatorSet, validators } from "./lane.ts";
import { refusalOf } from "./reverts.ts";

const anyone = 4;
const proxyPath = "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy";
const gasLimit = 300_000n;

describe("a proof of the origin's storage", () => {
  let alpha: Side;
  let beta: Side;
  let close: () => Promise<unknown>;
  let oracle: Hex;
  let counter: Hex;
  const messages: Appended[] = [];

  before(async () => {
    ({ alpha, beta, close } = await openPair());
    const implementation = await beta.chain.deploy("contracts/StateOracle.sol/StateOracle");
    const args = [await authorityOf(beta), beta.gateway] as const;
    const initialize = encodeFunctionData({ abi: stateOracleAbi, functionName: "initialize", args });
    oracle = await beta.chain.deploy(proxyPath, [implementation, initialize]);
    const data = encodeFunctionData({ abi: gatewayAbi, functionName: "setStateOracle", args: [oracle] });
    await beta.chain.send(0, { to: beta.gateway, data });
    counter = await beta.chain.deploy("contracts/mocks/MessageCounter.sol/MessageCounter");
    const burner = await beta.chain.deploy("contracts/mocks/HostileRecipients.sol/GasBurner");
    for (const [recipient, payload] of [
      [counter, "0x"],
      [counter, "0x6869"],
      [burner, "0x"],
      [burner, `0x${"ab".repeat(100)}`],
    ] as const) {
      const send = encodeSendMessage({ chainId: beta.chainId, address: recipient }, payload, gasLimit);
      messages.push(...(await appendedBy(alpha, 1, { to: alpha.gateway, data: send })));
    }
  });
  after(() => close?.());

  /** Two validators sign the block's header, anyone submits it. */
  async function attest({ number, hash, rlp }: BlockHeader): Promise<void> {
    const header = { originChainId: alpha.chainId, generation: 0, number, blockHash: hash, epoch: 1n };
    const typedData = headerTypedData({ chainId: beta.chainId, address: oracle }, header);
    const signatures = await Promise.all(
      validators.slice(1).map(async (signer) => ({
        signer: signer.address,
        signature: await signer.signTypedData(typedData),
      })),
    );
    const data = encodeAttestHeader({ header, rlp, set: validatorSet, signatures });
    const gas = headerGas({ validators: validators.length, signatures: signatures.length, rlpBytes: size(rlp) });
    const { gasUsed } = await beta.chain.send(anyone, { to: oracle, data, gas });
    assert.ok(gasUsed < gas && gasUsed > gas / 3n, `header: limit ${gas}, used ${gasUsed}`);
  }

  /** The delivery of messages under what the node proves of a slot of the origin's gateway. */
  async function provenDelivery(number: bigint, list = messages, slot: Hex = headSlots(beta.chainId)[0]) {
    const { accountProof, storageProof } = await proofAt(alpha.chain, number, alpha.gateway, [slot]);
    const proof = { accountProof, storageProof: storageProof[0]!.proof };
    const laterIds = messages.slice(list.length).map(({ id }) => id);
    const data = encodeDeliverProven({
      ...{ originChainId: alpha.chainId, blockNumber: number, ...proof, firstNonce: 1n, laterIds },
      messages: list.map(({ message }) => message),
    });
    const shape: DeliveryShape = {
      messages: list.map(({ message }) => ({ gasLimit, payloadBytes: size(message.payload) })),
      ...{ validators: 0, signatures: 0, laterIds: laterIds.length },
      proof: [...proof.accountProof, ...proof.storageProof].map(size),
    };
    return { data, shape };
  }

  it("stands in for a checkpoint: the messages run, once, whoever brings it, a few at a time or all", async (t) => {
    const block = await headerAt(alpha.chain, await alpha.chain.reader.getBlockNumber());
    const { data: delivery, shape } = await provenDelivery(block.number);
    const refusal = (data: Hex) => refusalOf(beta.chain, accounts[anyone]!.address, beta.gateway, data);
    assert.equal(await refusal(delivery), "UnknownHeader");
    await attest(block);
    const [, second] = headSlots(beta.chainId);
    const wrong = await provenDelivery(block.number, messages, second);
    assert.match((await refusal(wrong.data)) ?? "", /^(RLP|TrieProof|WrongAccumulator)/);

    assert.equal(size(delivery), deliverCalldataBytes(shape));
    const gas = deliveryGas(shape);
    const part = await provenDelivery(block.number, messages.slice(0, 1));
    const one = await beta.chain.send(anyone, { to: beta.gateway, data: part.data, gas: deliveryGas(part.shape) });
    assert.equal(one.logs.length, 1);
    // The last two use up all they get and fail; more gas than the formula gives is not to be had.
    const { logs, gasUsed } = await beta.chain.send(anyone, { to: beta.gateway, data: delivery, gas });
    t.diagnostic(`delivery: limit ${gas}, used ${gasUsed}`);
    assert.equal(logs.length, messages.length - 1);
    const read = { address: beta.gateway, abi: gatewayAbi } as const;
    const head = await beta.chain.reader.readContract({
      ...read,
      functionName: "inboundHead",
      args: [BigInt(alpha.chainId)],
    });
    const { nonce, accumulator } = messages.at(-1)!;
    assert.deepEqual(head, { accumulator, nonce, generation: 0 });
    assert.equal(BigInt((await beta.chain.reader.getStorageAt({ address: counter, slot: "0x0" }))!), 2n);

    const again = await beta.chain.send(anyone, { to: beta.gateway, data: delivery });
    assert.equal(again.logs.length, 0);
  });
});
