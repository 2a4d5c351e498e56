import type { DeskConfig } from "#core/config/desk.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Exposure } from "./exposure.ts";
import type { Holding } from "./holdings.ts";
import type { DeskAsset } from "./pairs.ts";

type Limits = Pick<DeskConfig, "mostOpen" | "mostOpenPerTaker">;

/** Smallest units of the asset that the desk could give now, by what it has and by what it may have out; never negative. */
export function availableOf(asset: DeskAsset, holding: Holding, exposure: Exposure): bigint {
  const free = inventoryOf(asset, holding, exposure);
  const room = asset.mostCommitted === undefined ? free : asset.mostCommitted - exposure.committed;
  const least = room < free ? room : free;
  return least > 0n && holding.coin >= holding.gas ? least : 0n;
}

/** What is neither promised, nor kept back, nor needed for gas; negative when more is. */
function inventoryOf(asset: DeskAsset, { amount, gas }: Holding, { promised }: Pick<Exposure, "promised">): bigint {
  const reserve = asset.leastInventory + (asset.asset.type === "native" ? gas : 0n);
  return amount - promised - reserve;
}

/** Throws `inventory-insufficient` when the desk cannot give the amount beside what it has promised. */
export function requireInventory(
  asset: DeskAsset,
  holding: Holding,
  promises: Pick<Exposure, "promised">,
  amount: bigint,
): void {
  requireGas(asset, holding, "target.chain");
  const free = inventoryOf(asset, holding, promises);
  if (free >= amount) return;
  const available = free > 0n ? free : 0n;
  throw new LockstepError("inventory-insufficient", `the desk can give ${available} on ${asset.chain}, not ${amount}`, {
    details: { field: "target.amount", chain: asset.chain, available, needed: amount },
  });
}

/** Throws `inventory-insufficient` when the desk lacks the coin for its own transactions on the asset's chain. */
export function requireGas({ chain }: DeskAsset, { coin, gas }: Holding, field: string): void {
  if (coin >= gas) return;
  throw new LockstepError("inventory-insufficient", `the desk holds ${coin} on ${chain} and needs ${gas} for gas`, {
    details: { field, chain, available: coin, needed: gas },
  });
}

/** Throws `limit-reached` naming the limit, when one more swap that gives the amount would be over it. */
export function requireLimits(limits: Limits, asset: DeskAsset, exposure: Exposure, amount: bigint): void {
  const { open, openOfTaker, committed, committedOfTaker } = exposure;
  const checks: [string, number | bigint | undefined, number | bigint][] = [
    ["mostOpen", limits.mostOpen, open + 1],
    ["mostOpenPerTaker", limits.mostOpenPerTaker, openOfTaker + 1],
    ["mostCommitted", asset.mostCommitted, committed + amount],
    ["mostPerTaker", asset.mostPerTaker, committedOfTaker + amount],
  ];
  for (const [limit, most, wanted] of checks) {
    if (most === undefined || wanted <= most) continue;
    throw new LockstepError(
      "limit-reached",
      `${limit} of the desk is ${most}, and with this swap it would be ${wanted}`,
      {
        details: { limit, most, wanted, chain: asset.chain },
      },
    );
  }
}
