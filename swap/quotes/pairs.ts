import type { DeskConfig } from "#core/config/desk.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { assetKey } from "../assets.ts";
import type { LegTerms } from "../events.ts";
import { type Amounts, exactIn, exactOut, type TradeTerms } from "./amounts.ts";
import type { Rate } from "./price.ts";

/** An asset where it is. */
export type Place = Pick<LegTerms, "chain" | "asset">;

export type DeskAsset = DeskConfig["assets"][string];
export type DeskPair = Omit<DeskConfig["pairs"][number], "source" | "target"> & {
  readonly source: DeskAsset;
  readonly target: DeskAsset;
};

export type DeskPairs = {
  readonly all: readonly DeskPair[];
  /** Throws `pair-unknown` naming the side from which on there is none. */
  find(source: Place, target: Place): DeskPair;
  /** Undefined where there is none. */
  search(source: Place, target: Place): DeskPair | undefined;
};

/** What the desk trades, as configured. */
export function createDeskPairs(config: Pick<DeskConfig, "assets" | "pairs">): DeskPairs {
  const all = config.pairs.flatMap((pair): DeskPair[] => {
    const { [pair.source]: source, [pair.target]: target } = config.assets;
    return source && target ? [{ ...pair, source, target }] : [];
  });
  const from = (source: Place) => all.filter((pair) => nameOf(pair.source) === nameOf(source));
  const search = (source: Place, target: Place) => from(source).find((pair) => nameOf(pair.target) === nameOf(target));
  return {
    all,
    search,
    find(source, target) {
      const ofSource = from(source);
      const found = search(source, target);
      if (found) return found;
      const known = all.map((pair) => `${nameOf(pair.source)} → ${nameOf(pair.target)}`);
      throw new LockstepError(
        "pair-unknown",
        `the desk does not give ${nameOf(target)} for ${nameOf(source)}; it trades ${known.join(", ")}`,
        { details: { field: ofSource.length === 0 ? "source.asset" : "target.asset", known } },
      );
    },
  };
}

export const termsOf = (pair: DeskPair, rate: Rate): TradeTerms => ({
  rate,
  sourceDecimals: pair.source.decimals,
  targetDecimals: pair.target.decimals,
  feeBps: BigInt(pair.feeBps),
  fixedFee: pair.fixedFee,
});

/** Which of the two amounts is given, in smallest units. */
export type Given = { readonly side: "source" | "target"; readonly amount: bigint };

/** The amounts of a trade at a rate. Throws `amount-out-of-range` with the bounds of the amount that is given. */
export function amountsAt(pair: DeskPair, rate: Rate, given: Given): Amounts {
  const terms = termsOf(pair, rate);
  const amounts = given.side === "source" ? exactIn(terms, given.amount) : exactOut(terms, given.amount);
  requireInRange(pair, rate, amounts, given.side);
  return amounts;
}

/** Throws `amount-out-of-range`, in terms of the side that is given, where the source amount is not within bounds. */
export function requireInRange(
  pair: DeskPair,
  rate: Rate,
  amounts: Pick<Amounts, "source" | "target">,
  side: Given["side"],
): void {
  const terms = termsOf(pair, rate);
  const dust = exactOut(terms, 1n).source;
  const leastSource = pair.least > dust ? pair.least : dust;
  if (amounts.source >= leastSource && amounts.source <= pair.most && amounts.target > 0n) return;
  const [least, most] =
    side === "source"
      ? [leastSource, pair.most]
      : [exactIn(terms, leastSource - 1n).target + 1n, exactIn(terms, pair.most).target];
  const field = `${side}.amount`;
  const given = amounts[side];
  throw new LockstepError("amount-out-of-range", `${field} is ${given}; the desk trades ${least} to ${most} of it`, {
    details: { field, given, least, most },
  });
}

const nameOf = ({ chain, asset }: Place) => `${chain}:${assetKey(asset)}`;
