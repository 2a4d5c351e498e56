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
import type { ValidatorBook } from "./validators.ts";

type Deps = {
  db: Db;
  attestations: Pick<Attestations, "recent">;
  collect: Collector;
  book: ValidatorBook;
  clock: Clock;
};

/** Most ids of later messages that a batch brings where nobody signs at its end. */
const mostLater = 256;

/** Delivery under a checkpoint: a quorum has signed the accumulator of the batch's last message, or of an earlier one. */
export function createCheckpointAuthority({ db, attestations, collect, book, clock }: Deps): Authorize {
  /** What validators have said: as it comes in where that suffices, otherwise with what is kept. */
  async function pushedWords(
    lane: LaneEnds,
    generation: number,
    places: ReadonlyMap<bigint, Hex>,
    from: bigint,
    to: bigint,
  ): Promise<readonly KeptAttestation[]> {
    const isUseful = (word: KeptAttestation) =>
      word.generation === generation &&
      word.nonce >= from &&
      (word.nonce > to || places.get(word.nonce) === word.accumulator);
    const recent = attestations.recent(lane).filter(isUseful);
    if (quorumAt(book.set, recent, to)) return recent;
    const kept = await keptAttestations(db, lane, { generation, epoch: book.epoch, nonce: from });
    return [...kept.filter(isUseful), ...recent];
  }

  return async ({ lane, generation, planned, behind }) => {
    const rows = [...planned, ...behind.slice(0, mostLater)];
    const to = (planned.at(-1) ?? planned[0]).nonce;
    const [places, all] = [placesOf(planned), placesOf(rows)];
    const pushed = await pushedWords(lane, generation, places, planned[0].nonce, to);
    const collected = await collect({ lane, generation, places, to, pushed });
    const quorum = collected.quorum ?? beyond(pushed, all, planned, rows);
    const { epoch, set } = book;
    const keep = (into: Parameters<typeof saveAttestations>[0]) =>
      saveAttestations(into, lane, { generation, epoch }, collected.fresh, new Date(clock.now()));
    const accumulator = quorum && all.get(quorum.nonce);
    if (!accumulator) {
      await keep(db);
      return { missing: { code: "awaiting-quorum", detail: "too few validators have signed" } };
    }
    const { nonce, signatures } = quorum;
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
    words: readonly KeptAttestation[],
    places: ReadonlyMap<bigint, Hex>,
    planned: readonly OpenMessage[],
    rows: readonly OpenMessage[],
  ): QuorumAt | undefined {
    const to = planned.at(-1)?.nonce ?? 0n;
    const agreed = words.filter(({ nonce, accumulator }) => nonce > to && places.get(nonce) === accumulator);
    const quorum = highestQuorum(book.set, agreed, { from: to + 1n, to: rows.at(-1)?.nonce ?? to });
    const limits = { maxBatch: planned.length, validators: book.all.length, later: Number((quorum?.nonce ?? to) - to) };
    return quorum && fits(planned, limits) ? quorum : undefined;
  }
}

const placesOf = (rows: readonly OpenMessage[]): Map<bigint, Hex> =>
  new Map(rows.flatMap(({ nonce, progress }) => (progress.sent ? [[nonce, progress.sent.accumulator]] : [])));
