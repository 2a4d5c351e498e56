import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, parseSignature, signatureToCompactSignature } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { BlockHeader } from "#core/chain/blockHeader.ts";
import { encodeSendMessage, packMessages } from "#relay/protocol/calls.ts";
import { headerTypedData } from "#relay/protocol/header.ts";
import type { Appended } from "#relay/protocol/logs.ts";
import { toContractSet } from "#relay/protocol/quorum.ts";
import { headerAt, mappingSlot, proofAt } from "#test/support/state.ts";
import { accounts } from "./chains.ts";
import { appendedBy, authorityOf, openPair, type Side } from "./gatewayPair.ts";
import { validatorSet, validators } from "./lane.ts";
import { refusalOf } from "./reverts.ts";

const anyone = 4;
const proxyPath = "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy";
const laneBase = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900n;

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
    for (const payload of ["0x", "0x6869", `0x${"ab".repeat(100)}`] as const) {
      const send = encodeSendMessage({ chainId: beta.chainId, address: counter }, payload);
      messages.push(...(await appendedBy(alpha, 1, { to: alpha.gateway, data: send })));
    }
  });
  after(() => close?.());

  /** Two validators sign the block's header, anyone submits it. */
  async function attest({ number, hash, rlp }: BlockHeader): Promise<void> {
    const header = { originChainId: alpha.chainId, generation: 0, number, blockHash: hash, epoch: 1n };
    const typedData = headerTypedData({ chainId: beta.chainId, address: oracle }, header);
    const signers = validators.slice(1).toSorted((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
    const signatures = await Promise.all(
      signers.map(async (signer) => {
        const signature = parseSignature(await signer.signTypedData(typedData));
        const { r, yParityAndS } = signatureToCompactSignature(signature);
        return { r, vs: yParityAndS };
      }),
    );
    const message = { ...header, originChainId: BigInt(alpha.chainId) };
    const args = [message, rlp, toContractSet(validatorSet), signatures] as const;
    const data = encodeFunctionData({ abi: stateOracleAbi, functionName: "attestHeader", args });
    await beta.chain.send(anyone, { to: oracle, data });
  }

  /** The delivery of all messages under what the node proves of a slot of the origin's gateway. */
  async function provenDelivery(number: bigint, slot = mappingSlot("uint256", BigInt(beta.chainId), laneBase)) {
    const { accountProof, storageProof } = await proofAt(alpha.chain, number, alpha.gateway, [slot]);
    const list = packMessages(messages.map(({ message }) => message));
    const count = BigInt(messages.length);
    const args = [BigInt(alpha.chainId), number, accountProof, storageProof[0]!.proof, 1n, count, list, []] as const;
    return encodeFunctionData({ abi: gatewayAbi, functionName: "deliverProven", args });
  }

  it("stands in for a checkpoint: the messages run, once, whoever brings it", async () => {
    const block = await headerAt(alpha.chain, await alpha.chain.reader.getBlockNumber());
    const delivery = await provenDelivery(block.number);
    const refusal = (data: Hex) => refusalOf(beta.chain, accounts[anyone]!.address, beta.gateway, data);
    assert.equal(await refusal(delivery), "UnknownHeader");
    await attest(block);
    const second = mappingSlot("uint256", BigInt(beta.chainId), laneBase + 1n);
    assert.match((await refusal(await provenDelivery(block.number, second))) ?? "", /^(RLP|TrieProof)/);

    const { logs } = await beta.chain.send(anyone, { to: beta.gateway, data: delivery });
    assert.equal(logs.length, messages.length);
    const read = { address: beta.gateway, abi: gatewayAbi } as const;
    const head = await beta.chain.reader.readContract({
      ...read,
      functionName: "inboundHead",
      args: [BigInt(alpha.chainId)],
    });
    const { nonce, accumulator } = messages.at(-1)!;
    assert.deepEqual(head, { accumulator, nonce, generation: 0 });
    assert.equal(BigInt((await beta.chain.reader.getStorageAt({ address: counter, slot: "0x0" }))!), nonce);

    const again = await beta.chain.send(anyone, { to: beta.gateway, data: delivery });
    assert.equal(again.logs.length, 0);
  });
});
