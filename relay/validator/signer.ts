import type { PrivateKeyAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import { checkpointTypedData } from "../protocol/checkpoint.ts";
import type { Route } from "../protocol/message.ts";
import type { WireAttestation } from "../schemas.ts";
import type { FollowedLane } from "./drafting.ts";
import type { SigningStore } from "./signingStore.ts";
import type { Terms } from "./terms.ts";

export type SignedLane = FollowedLane & { readonly route: Route };

/** Signs checkpoints of final messages; never two accumulators for one place of a lane. */
export type CheckpointSigner = {
  /**
   * The attestation at `nonce`, or at the newest final nonce before it. Throws `checkpoint-unavailable` when the lane
   * has no final message, and `validator-halted` when another accumulator was signed there before.
   */
  sign(lane: SignedLane, terms: Terms, nonce: bigint): Promise<WireAttestation>;
};

const keptSignatures = 1_000;

export function createCheckpointSigner(deps: {
  account: PrivateKeyAccount;
  store: SigningStore;
  log: Log;
  mark?: Mark;
}): CheckpointSigner {
  const { account, store, log, mark = noMark } = deps;
  /** Signatures made lately: relayers ask for what was just pushed. */
  const recent = new Map<string, Promise<Hex>>();

  function claim(lane: SignedLane, generation: number, nonce: bigint, accumulator: Hex): void {
    const claimed = store.claim(lane, generation, { nonce, accumulator });
    if (claimed === accumulator) return;
    const reason = `signed ${claimed} for ${lane.origin} to ${lane.destination} at ${nonce}, and would now sign ${accumulator}`;
    store.halt(reason);
    log.error({ origin: lane.origin, nonce }, "asked to contradict an earlier signature, stopping for good");
    throw new LockstepError("validator-halted", reason);
  }

  return {
    async sign(lane, { epoch, generation }, wanted) {
      const head = store.head(lane);
      if (!head || wanted === 0n) {
        throw new LockstepError("checkpoint-unavailable", "the lane has no final message");
      }
      const nonce = wanted < head.nonce ? wanted : head.nonce;
      const accumulator = nonce === head.nonce ? head.accumulator : store.accumulatorAt(lane, nonce);
      if (!accumulator) throw new LockstepError("internal", "a link of the lane is missing");
      const { originChainId, originGateway, destinationChainId, destinationGateway } = lane.route;
      const checkpoint = { originChainId, originGateway, generation, nonce, accumulator, epoch };
      claim(lane, generation, nonce, accumulator);
      mark("claimed/checkpoint");
      const key = [lane.origin, lane.destination, generation, nonce, accumulator, epoch].join();
      const destination = { chainId: destinationChainId, gateway: destinationGateway };
      const signature = recent.get(key) ?? account.signTypedData(checkpointTypedData(destination, checkpoint));
      recent.set(key, signature);
      if (recent.size > keptSignatures) recent.delete(recent.keys().next().value ?? "");
      const place = { destinationChainId, destinationGateway, signer: account.address };
      const attestation = { ...checkpoint, ...place, signature: await signature };
      mark("signed/checkpoint");
      return attestation;
    },
  };
}
