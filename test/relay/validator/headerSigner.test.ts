import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { recoverTypedDataAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { headerTypedData } from "#relay/protocol/header.ts";
import type { AgreedChain } from "#relay/validator/agreement.ts";
import { createHeaderSigner } from "#relay/validator/headerSigner.ts";
import { createSigningStore, type SigningStore } from "#relay/validator/signingStore.ts";
import { quietLog } from "../../support/databases.ts";
import { localKey } from "../../support/localChain.ts";
import { addressOf, hashOf } from "../samples.ts";

const account = privateKeyToAccount(localKey(11));
const oracle = { chainId: 2, address: addressOf(9) };
const lane = { origin: "1-0xaa", destination: "2-0xbb", originChainId: 1, oracle };
const terms = { epoch: 1n, generation: 0 };

describe("signatures over headers", () => {
  let store: SigningStore;
  let hashes: (height: bigint) => Hex | undefined;
  beforeEach(() => {
    store = createSigningStore(":memory:");
    store.assertSameChain(lane.origin, hashOf(0));
    finalAt(200_000n);
    hashes = (height) => hashOf(Number(height));
  });
  afterEach(() => store.close());

  const finalAt = (height: bigint) => store.record(lane.origin, { height, hash: hashOf(Number(height)) });
  const chain = { hashAt: async (height: bigint) => hashes(height) } as AgreedChain;
  const sign = (height: bigint, under = terms) =>
    createHeaderSigner({ account, store, chainOf: () => chain, log: quietLog }).sign(lane, under, height);
  const refused = (code: Parameters<typeof isLockstepError>[1]) => (error: unknown) => isLockstepError(error, code);

  it("are made for final blocks that the endpoints agree on, under any epoch", async () => {
    for (const epoch of [1n, 2n]) {
      const { signature, blockHash, signer, oracle: address } = await sign(150_000n, { epoch, generation: 0 });
      const header = { originChainId: 1, generation: 0, number: 150_000n, blockHash, epoch };
      assert.equal(blockHash, hashOf(150_000));
      assert.equal(await recoverTypedDataAddress({ ...headerTypedData(oracle, header), signature }), signer);
      assert.deepEqual([signer, address], [account.address, oracle.address]);
    }
  });

  it("are not made above the final block, far below it, or without agreement", async () => {
    await assert.rejects(sign(200_001n), refused("checkpoint-unavailable"));
    await assert.rejects(sign(99_999n), refused("checkpoint-unavailable"));
    hashes = () => undefined;
    await assert.rejects(sign(150_000n), refused("checkpoint-unavailable"));
    assert.equal(store.newestHeader(lane, 0), undefined);
  });

  it("are never made for two headers of one height and generation", async () => {
    await sign(150_000n);
    // What was claimed is what is signed, whatever the endpoints say by now.
    hashes = () => hashOf(1);
    assert.equal((await sign(150_000n)).blockHash, hashOf(150_000));
    assert.equal((await sign(150_000n, { epoch: 1n, generation: 1 })).blockHash, hashOf(1));
  });

  it("are not made, and never again, when two answers race to different claims", async () => {
    const answers = [hashOf(1), hashOf(2)];
    hashes = () => answers.shift();
    const outcomes = await Promise.allSettled([sign(150_000n), sign(150_000n)]);
    const [first, second] = outcomes;
    assert.equal(first?.status === "fulfilled" && first.value.blockHash, hashOf(1));
    assert.ok(second?.status === "rejected" && isLockstepError(second.reason, "validator-halted"));
    assert.match(store.halted() ?? "", /signed header/);
    await assert.rejects(sign(150_000n), refused("validator-halted"));
  });

  it("are claimed before they are made, and claims too old to be signed are dropped", async () => {
    await sign(100_000n);
    assert.equal(store.claimedHeader(lane, 0, 100_000n), hashOf(100_000));
    finalAt(300_000n);
    await sign(250_000n);
    assert.equal(store.claimedHeader(lane, 0, 100_000n), undefined);
    assert.deepEqual(store.newestHeader(lane, 0), { height: 250_000n, hash: hashOf(250_000) });
    await assert.rejects(sign(100_000n), refused("checkpoint-unavailable"));
  });
});
