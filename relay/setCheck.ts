import { slice } from "viem";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { createGatewayReader } from "./gateway.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { validatorSetHash } from "./protocol/quorum.ts";
import type { ValidatorEpoch } from "./validators.ts";

/** Whether a destination takes signatures of an epoch; a good answer is kept for a minute. */
export type SetCheck = {
  /** Those of the epochs that it takes; where it takes none, what is wrong with the newest, in words. */
  usable(
    lane: LaneEnds,
    epochs: readonly ValidatorEpoch[],
  ): Promise<{ readonly epochs: readonly ValidatorEpoch[]; readonly problem?: string }>;
  /** Reads again the next time. */
  forget(lane: LaneEnds): void;
};

const keptMs = 60_000;

export function createSetCheck({ clock }: { clock: Clock }): SetCheck {
  /** Until when an epoch of a lane is not looked at again. */
  const checked = new Map<string, Map<bigint, number>>();

  async function problemOf(lane: LaneEnds, { epoch, set }: ValidatorEpoch): Promise<string | undefined> {
    const name = laneName(lane);
    const own = checked.get(name) ?? new Map<bigint, number>();
    checked.set(name, own);
    if (clock.now() < (own.get(epoch) ?? 0)) return undefined;
    const originChainId = lane.from.chain.chainId;
    const { setHash, validUntil } = await createGatewayReader(lane.to).epochInfo(originChainId, epoch);
    if (setHash !== slice(validatorSetHash(originChainId, epoch, set), 0, 26)) {
      return `the validators that ${lane.destination} knows for epoch ${epoch} are not the ones known here`;
    }
    if (validUntil <= unixSeconds(clock)) return `epoch ${epoch} is not valid at ${lane.destination} any more`;
    own.set(epoch, clock.now() + keptMs);
    for (const other of own.keys()) if (other + 64n < epoch) own.delete(other);
    return undefined;
  }

  return {
    async usable(lane, epochs) {
      const problems = await Promise.all(epochs.map((epoch) => problemOf(lane, epoch)));
      const usable = epochs.filter((_, index) => problems[index] === undefined);
      if (usable.length > 0) return { epochs: usable };
      return { epochs: [], problem: problems[0] ?? `${lane.destination} has no valid validators for ${lane.origin}` };
    },
    forget: (lane) => void checked.delete(laneName(lane)),
  };
}
