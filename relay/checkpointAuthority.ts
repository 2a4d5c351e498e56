import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type KeptAttestation, keptAttestations, saveAttestations } from "./attestationStore.ts";
import type { Attestations } from "./attestations.ts";
import type { Authorize } from "./authority.ts";
import type { Collector } from "./collect.ts";
import type { LaneEnds } from "./lane.ts";
import { encodeDeliver } from "./protocol/calls.ts";
import { quorumAt } from "./quorum.ts";
import type { ValidatorEpoch } from "./validators.ts";

type Deps = {
  db: Db;
  attestations: Pick<Attestations, "recent">;
  collect: Collector;
  clock: Clock;
};

/** Delivery under a checkpoint: a quorum has signed the accumulator of the batch's last message, or of an earlier one. */
export function createCheckpointAuthority({ db, attestations, collect, clock }: Deps): Authorize {
  /** What validators have said: as it comes in where that suffices, otherwise with what is kept. */
  async function pushedWords(
    lane: LaneEnds,
    generation: number,
    epochs: readonly ValidatorEpoch[],
    places: ReadonlyMap<bigint, Hex>,
    from: bigint,
    to: bigint,
  ): Promise<readonly KeptAttestation[]> {
    const isUseful = (word: KeptAttestation) =>
      word.generation === generation &&
      word.nonce >= from &&
      (word.nonce > to || places.get(word.nonce) === word.accumulator);
    const recent = attestations.recent(lane).filter(isUseful);
    const newest = recent.filter(({ epoch }) => epoch === epochs[0]?.epoch);
    if (epochs[0] && quorumAt(epochs[0].counting, newest, to)) return newest;
    const numbers = epochs.map(({ epoch }) => epoch);
    const kept = await keptAttestations(db, lane, { generation, epochs: numbers, nonce: from });
    return [...kept.filter(isUseful), ...recent];
  }

  return async ({ lane, generation, epochs, planned }) => {
    const places = new Map(
      planned.flatMap(({ nonce, progress }) => (progress.sent ? [[nonce, progress.sent.accumulator]] : [])),
    );
    const to = (planned.at(-1) ?? planned[0]).nonce;
    const pushed = await pushedWords(lane, generation, epochs, places, planned[0].nonce, to);
    const { quorum, fresh } = await collect({ lane, generation, epochs, places, to, pushed });
    const keep = (into: Parameters<typeof saveAttestations>[0]) =>
      saveAttestations(into, lane, generation, fresh, new Date(clock.now()));
    const accumulator = quorum && places.get(quorum.nonce);
    if (!accumulator) {
      await keep(db);
      return { missing: { code: "awaiting-quorum", detail: "too few validators have signed" } };
    }
    const { nonce, signatures } = quorum;
    const { epoch, set } = quorum.epoch;
    const checkpoint = {
      ...{ originChainId: lane.from.chain.chainId, originGateway: lane.from.gateway, generation },
      ...{ nonce, accumulator, epoch },
    };
    return {
      authority: {
        ...{ nonce, epoch, keep },
        encode: (firstNonce, messages) => ({
          data: encodeDeliver({ checkpoint, set, signatures, firstNonce, messages, laterIds: [] }),
          shape: { validators: set.validators.length, signatures: signatures.length, laterIds: 0 },
        }),
      },
    };
  };
}
