import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { AttestRequest, HeaderRequest, WireAttestation, WireHeaderAttestation } from "../schemas.ts";
import type { HeaderSigner } from "./headerSigner.ts";
import type { Origin, OwnLane } from "./origins.ts";
import type { CheckpointSigner } from "./signer.ts";
import type { SigningStore } from "./signingStore.ts";
import type { Terms } from "./terms.ts";

/** Signs what is asked for, and what is newest. */
export type Answers = {
  attest(request: AttestRequest): Promise<WireAttestation>;
  attestHeader(request: HeaderRequest): Promise<WireHeaderAttestation>;
  /** The lane's newest checkpoint under the newest terms; undefined while there is none, or it was given before. */
  newest(origin: Origin, lane: OwnLane): Promise<WireAttestation | undefined>;
};

export function createAnswers(deps: {
  origins: readonly Origin[];
  store: SigningStore;
  checkpoints: CheckpointSigner;
  headers: HeaderSigner;
}): Answers {
  const { origins, store, checkpoints, headers } = deps;
  /** What `newest` gave last, by lane. */
  const given = new Map<OwnLane, string>();
  /** In which generation each lane was last compared with its origin. */
  const compared = new Map<OwnLane, number>();

  function laneOf({ originChainId, destinationChainId }: LaneRequest): { origin: Origin; lane: OwnLane } {
    for (const origin of origins) {
      const lane = origin.lanes.find(
        ({ route }) => route.originChainId === originChainId && route.destinationChainId === destinationChainId,
      );
      if (lane) return { origin, lane };
    }
    throw new LockstepError("lane-unknown", "this validator does not follow that lane");
  }

  /**
   * Nothing is signed in a generation before the lane was compared with a final block in it: what is stored may be from
   * before a restart, or from the branch that governance has just left.
   */
  async function assertCompared(origin: Origin, lane: OwnLane, { generation }: Terms): Promise<void> {
    if (compared.get(lane) === generation) return;
    if (!(await origin.follower.look())) {
      throw new LockstepError("checkpoint-unavailable", "there is no final block that the endpoints agree on");
    }
    compared.set(lane, generation);
  }

  return {
    async attest(request) {
      const { origin, lane } = laneOf(request);
      const { epoch, generation, nonce } = request;
      await lane.terms.assertValid({ epoch, generation });
      await assertCompared(origin, lane, { epoch, generation });
      // The relayer may have seen a block before this validator's next look.
      if ((store.head(lane)?.nonce ?? 0n) < nonce) await origin.follower.look();
      return checkpoints.sign(lane, { epoch, generation }, nonce);
    },
    async attestHeader(request) {
      const { origin, lane } = laneOf(request);
      const { epoch, generation, height } = request;
      const { originChainId, destinationChainId: chainId } = lane.route;
      if (!lane.oracle) throw new LockstepError("attestation-refused", "no state oracle is configured for that chain");
      await lane.terms.assertValid({ epoch, generation });
      await assertCompared(origin, lane, { epoch, generation });
      if ((store.cursor(lane.origin)?.height ?? -1n) < height) await origin.follower.look();
      const asked = { ...lane, originChainId, oracle: { chainId, address: lane.oracle } };
      return headers.sign(asked, { epoch, generation }, height);
    },
    async newest(origin, lane) {
      const head = store.head(lane);
      if (!head) return undefined;
      const terms = await lane.terms.newest();
      if (!terms) return undefined;
      const key = givenKey(head.accumulator, terms);
      if (given.get(lane) === key) return undefined;
      await assertCompared(origin, lane, terms);
      const attestation = await checkpoints.sign(lane, terms, head.nonce);
      given.set(lane, givenKey(attestation.accumulator, terms));
      return attestation;
    },
  };
}

type LaneRequest = Pick<AttestRequest, "originChainId" | "destinationChainId">;

const givenKey = (accumulator: Hex, { epoch, generation }: Terms) => `${accumulator} ${epoch} ${generation}`;
