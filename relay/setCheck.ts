import { slice } from "viem";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { createGatewayReader } from "./gateway.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { validatorSetHash } from "./protocol/quorum.ts";
import type { ValidatorBook } from "./validators.ts";

/** Whether a destination takes signatures of the configured validators; a good answer is kept for a minute. */
export type SetCheck = {
  /** What is wrong, in words; undefined when nothing is. */
  problemOf(lane: LaneEnds): Promise<string | undefined>;
  /** Names of validators that the destination does not count any more, as of the last look. */
  excluded(lane: LaneEnds): readonly string[];
  /** Reads again the next time. */
  forget(lane: LaneEnds): void;
};

const keptMs = 60_000;

export function createSetCheck({ book, clock }: { book: ValidatorBook; clock: Clock }): SetCheck {
  const checkedAt = new Map<string, number>();
  const excludedAt = new Map<string, readonly string[]>();
  const byAddress = book.all.toSorted((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
  return {
    async problemOf(lane) {
      const name = laneName(lane);
      const at = checkedAt.get(name);
      if (at !== undefined && clock.now() < at + keptMs) return undefined;
      const originChainId = lane.from.chain.chainId;
      const { setHash, validUntil, excluded } = await createGatewayReader(lane.to).epochInfo(originChainId, book.epoch);
      const lost = byAddress.filter((_, place) => (excluded >> BigInt(place)) % 2n === 1n);
      excludedAt.set(
        name,
        lost.map((validator) => validator.name),
      );
      if (setHash !== slice(validatorSetHash(originChainId, book.epoch, book.set), 0, 26)) {
        return `the validators that ${lane.destination} knows for epoch ${book.epoch} are not the configured ones`;
      }
      if (validUntil <= unixSeconds(clock)) return `epoch ${book.epoch} has expired at ${lane.destination}`;
      checkedAt.set(name, clock.now());
      return undefined;
    },
    excluded: (lane) => excludedAt.get(laneName(lane)) ?? [],
    forget: (lane) => void checkedAt.delete(laneName(lane)),
  };
}
