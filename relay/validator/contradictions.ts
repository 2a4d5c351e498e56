import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { AgreedChain } from "./agreement.ts";
import type { FollowedLane } from "./drafting.ts";
import type { SigningStore } from "./signingStore.ts";

/**
 * Holds what was signed against final blocks. Signatures of the newest generation that was signed for count, and only
 * while it is the lane's: governance ends a generation together with the branch that it was signed for.
 */
export type Contradictions = {
  /** Throws `validator-halted`, for good, when the drafts, taken as the lanes' history, contradict a signature. */
  assertDraftsAgree(height: bigint): Promise<void>;
  /** The same for signed headers, once in a while. Each has its parents in it, so the newest stands for all. */
  assertHeadersStand(): Promise<void>;
};

const headersEveryMs = 5_000;

export function createContradictions(deps: {
  chain: Pick<AgreedChain, "hashAt">;
  origin: string;
  lanes: readonly FollowedLane[];
  store: SigningStore;
  generationOf(lane: FollowedLane): Promise<number>;
  clock: Clock;
  log: Log;
}): Contradictions {
  const { chain, origin, lanes, store, generationOf, clock, log } = deps;
  let headersAt = Number.NEGATIVE_INFINITY;

  function halt(lane: FollowedLane, what: string, height: bigint): never {
    const reason = `${what}; signed for ${lane.destination}`;
    store.halt(reason);
    log.error(
      { origin, destination: lane.destination, height },
      "signature contradicts a final block, stopping for good",
    );
    throw new LockstepError("validator-halted", reason);
  }

  /** Whether governance has put the lane on another branch since the generation. */
  const isOver = async (lane: FollowedLane, generation: number) => (await generationOf(lane)) > generation;

  return {
    async assertDraftsAgree(height) {
      for (const lane of lanes) {
        const generation = store.newestGeneration(lane);
        const wrong = generation === undefined ? undefined : store.contradiction(lane, generation);
        if (generation === undefined || !wrong || (await isOver(lane, generation))) continue;
        const { nonce, accumulator, drafted = "no message" } = wrong;
        halt(
          lane,
          `signed ${accumulator} of ${origin} at nonce ${nonce}, but final block ${height} has ${drafted}`,
          height,
        );
      }
    },
    async assertHeadersStand() {
      if (clock.now() < headersAt + headersEveryMs) return;
      headersAt = clock.now();
      for (const lane of lanes) {
        const generation = store.newestGeneration(lane);
        const signed = generation === undefined ? undefined : store.newestHeader(lane, generation);
        const found = signed && (await chain.hashAt(signed.height));
        if (generation === undefined || !found || found === signed.hash) continue;
        if (await isOver(lane, generation).catch(() => false)) continue;
        halt(lane, `signed header ${signed.hash} of ${origin} at ${signed.height}, which has ${found}`, signed.height);
      }
    },
  };
}
