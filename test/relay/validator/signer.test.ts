import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PrivateKeyAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createCheckpointSigner } from "#relay/validator/signer.ts";
import type { Link, SigningStore } from "#relay/validator/signingStore.ts";
import { quietLog } from "../../support/databases.ts";
import { addressOf, hashOf } from "../samples.ts";

const lane = {
  ...{ origin: "1-0xaa", destination: "2-0xbb", destinationChainId: 2 },
  route: {
    ...{ originChainId: 1, originGateway: addressOf(1) },
    ...{ destinationChainId: 2, destinationGateway: addressOf(2) },
  },
};
const terms = { epoch: 1n, generation: 0 };

/** A store whose claims are answered by the test, and an account that notes what it is asked to sign. */
function signerOn(claim: (link: Link) => Hex) {
  const happened: string[] = [];
  const store = {
    head: () => ({ nonce: 3n, accumulator: hashOf(3) }),
    accumulatorAt: (_lane: unknown, nonce: bigint) => hashOf(Number(nonce)),
    claim(_lane: unknown, generation: number, link: Link) {
      happened.push(`claim ${generation} ${link.nonce}`);
      return claim(link);
    },
    halt: (reason: string) => happened.push(`halt ${reason.split(" ")[0]}`),
  } as unknown as SigningStore;
  const account = {
    address: addressOf(7),
    async signTypedData({ message }: { message: { nonce: bigint; epoch: bigint } }) {
      happened.push(`sign ${message.nonce} under ${message.epoch}`);
      return "0x11";
    },
  } as unknown as PrivateKeyAccount;
  return { happened, signer: createCheckpointSigner({ account, store, log: quietLog }) };
}

describe("signatures over checkpoints", () => {
  it("are claimed before they are made, also where one was made before", async () => {
    const { signer, happened } = signerOn(({ accumulator }) => accumulator);
    await signer.sign(lane, terms, 2n);
    await signer.sign(lane, terms, 2n);
    await signer.sign(lane, { epoch: 2n, generation: 0 }, 2n);
    assert.deepEqual(happened, ["claim 0 2", "sign 2 under 1", "claim 0 2", "claim 0 2", "sign 2 under 2"]);
  });

  it("are not made when the claim cannot be written", async () => {
    const { signer, happened } = signerOn(() => {
      throw new Error("the disk is full");
    });
    await assert.rejects(signer.sign(lane, terms, 2n), /disk/);
    assert.deepEqual(happened, ["claim 0 2"]);
  });

  it("are not made where another accumulator is claimed: the validator halts", async () => {
    const { signer, happened } = signerOn(() => hashOf(99));
    await assert.rejects(signer.sign(lane, terms, 2n), (error) => isLockstepError(error, "validator-halted"));
    assert.deepEqual(happened, ["claim 0 2", "halt signed"]);
  });

  it("are for the newest final message when a later one is asked for", async () => {
    const { signer } = signerOn(({ accumulator }) => accumulator);
    const { nonce, accumulator } = await signer.sign(lane, terms, 9n);
    assert.deepEqual([nonce, accumulator], [3n, hashOf(3)]);
    await assert.rejects(signer.sign(lane, terms, 0n), (error) => isLockstepError(error, "checkpoint-unavailable"));
  });
});
