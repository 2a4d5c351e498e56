import type { PrivateKeyAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import { headerTypedData, type Oracle } from "../protocol/header.ts";
import type { WireHeaderAttestation } from "../schemas.ts";
import type { AgreedChain } from "./agreement.ts";
import type { SigningLane, SigningStore } from "./signingStore.ts";
import type { Terms } from "./terms.ts";

/** Signs headers of an origin's final blocks; never two for one height and generation. */
export type HeaderSigner = {
  /**
   * The attestation of the block at `height`. Throws `checkpoint-unavailable` when that is not final yet, too old or
   * not agreed on, and `validator-halted` when another block was signed there before.
   */
  sign(lane: OracleLane, terms: Terms, height: bigint): Promise<WireHeaderAttestation>;
};

/** A lane whose destination has a state oracle. */
type OracleLane = SigningLane & { readonly originChainId: number; readonly oracle: Oracle };

/** Blocks behind the newest final one whose headers are signed: what was claimed for them has to be kept. */
const signedBlocks = 100_000n;

export function createHeaderSigner(deps: {
  account: PrivateKeyAccount;
  store: SigningStore;
  /** The origin, as its endpoints agree on it. */
  chainOf(lane: SigningLane): AgreedChain;
  log: Log;
  mark?: Mark;
}): HeaderSigner {
  const { account, store, chainOf, log, mark = noMark } = deps;

  /** The hash to sign, claimed for good. */
  async function claimedHash(lane: OracleLane, generation: number, height: bigint): Promise<Hex> {
    const newest = store.cursor(lane.origin)?.height ?? -1n;
    if (height > newest) throw unavailable(`block ${height} is not final yet`);
    const oldest = newest - signedBlocks;
    if (height < oldest) throw unavailable(`block ${height} is too old, headers from ${oldest} on are signed`);
    const hash = store.claimedHeader(lane, generation, height) ?? (await chainOf(lane).hashAt(height));
    if (!hash) throw unavailable(`the endpoints do not agree on block ${height}`);
    const claimed = store.claimHeader(lane, generation, { height, hash }, oldest);
    if (claimed === hash) return hash;
    const reason = `signed header ${claimed} of ${lane.origin} at ${height}, and would now sign ${hash}`;
    store.halt(reason);
    log.error({ origin: lane.origin, height }, "asked to contradict an earlier signature, stopping for good");
    throw new LockstepError("validator-halted", reason);
  }

  return {
    async sign(lane, { epoch, generation }, height) {
      const { originChainId, oracle } = lane;
      const blockHash = await claimedHash(lane, generation, height);
      mark("claimed/header");
      const header = { originChainId, generation, number: height, blockHash, epoch };
      const signature = await account.signTypedData(headerTypedData(oracle, header));
      mark("signed/header");
      const place = { destinationChainId: oracle.chainId, oracle: oracle.address };
      return { ...place, originChainId, generation, height, blockHash, epoch, signer: account.address, signature };
    },
  };
}

const unavailable = (why: string) => new LockstepError("checkpoint-unavailable", why);
