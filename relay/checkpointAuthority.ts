import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type KeptAttestation, keptAttestations, saveAttestations } from "./attestationStore.ts";
import type { Attestations } from "./attestations.ts";
import type { Authorize } from "./authority.ts";
import type { Collector } from "./collect.ts";
import type { LaneEnds } from "./lane.ts";
import type { OpenMessage } from "./openMessage.ts";
import { fits } from "./planner.ts";
import { encodeDeliver } from "./protocol/calls.ts";
import { highestQuorum, type QuorumAt, quorumAt } from "./quorum.ts";
import type { ValidatorEpoch } from "./validators.ts";

type Deps = {
  db: Db;
  attestations: Pick<Attestations, "recent">;
  collect: Collector;
  clock: Clock;
};

/** Most ids of later messages that a batch brings where nobody signs at its end. */
const mostLater = 256;

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

  return async ({ lane, generation, epochs, planned, behind }) => {
    const rows = [...planned, ...behind.slice(0, mostLater)];
    const to = (planned.at(-1) ?? planned[0]).nonce;
    const [places, all] = [placesOf(planned), placesOf(rows)];
    const pushed = await pushedWords(lane, generation, epochs, places, planned[0].nonce, to);
    const collected = await collect({ lane, generation, epochs, places, to, pushed });
    const quorum = collected.quorum ?? beyond(epochs, pushed, all, planned, rows);
    const keep = (into: Parameters<typeof saveAttestations>[0]) =>
      saveAttestations(into, lane, generation, collected.fresh, new Date(clock.now()));
    const accumulator = quorum && all.get(quorum.nonce);
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
        encode(firstNonce, messages) {
          const next = firstNonce + BigInt(messages.length);
          const later = rows.filter((row) => row.nonce >= next && row.nonce <= nonce);
          const laterIds = later.flatMap(({ progress }) => progress.sent?.onchainId ?? []);
          return {
            data: encodeDeliver({ checkpoint, set, signatures, firstNonce, messages, laterIds }),
            shape: { validators: set.validators.length, signatures: signatures.length, laterIds: laterIds.length },
          };
        },
      },
    };
  };

  /** A quorum that only signed a later message: it serves with the ids of those up to there, where they have room. */
  function beyond(
    epochs: readonly ValidatorEpoch[],
    words: readonly KeptAttestation[],
    places: ReadonlyMap<bigint, Hex>,
    planned: readonly OpenMessage[],
    rows: readonly OpenMessage[],
  ): (QuorumAt & { readonly epoch: ValidatorEpoch }) | undefined {
    const to = planned.at(-1)?.nonce ?? 0n;
    const agreed = words.filter(({ nonce, accumulator }) => nonce > to && places.get(nonce) === accumulator);
    for (const epoch of epochs) {
      const own = agreed.filter((word) => word.epoch === epoch.epoch);
      const quorum = highestQuorum(epoch.counting, own, { from: to + 1n, to: rows.at(-1)?.nonce ?? to });
      const validators = epoch.set.validators.length;
      const limits = { maxBatch: planned.length, validators, later: Number((quorum?.nonce ?? to) - to) };
      if (quorum && fits(planned, limits)) return { ...quorum, epoch };
    }
    return undefined;
  }
}

const placesOf = (rows: readonly OpenMessage[]): Map<bigint, Hex> =>
  new Map(rows.flatMap(({ nonce, progress }) => (progress.sent ? [[nonce, progress.sent.accumulator]] : [])));
