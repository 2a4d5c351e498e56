import { zeroAddress, zeroHash } from "viem";
import type { FeeEstimate } from "#core/chain/chain.ts";
import type { WatchtowerConfig } from "#core/config/service.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import type { LegName, LegTerms } from "../events.ts";
import { lockOf } from "../legCalls.ts";
import type { AnyLock } from "../protocol/anyLock.ts";

/** Gas of one claim of any kind, a little above what the costliest of them takes with an ordinary token. */
const claimGas = 120_000n;

/** Wei a gas that a transaction pays now, as far as the chain tells. */
const presentPrice = ({ market, maxFeePerGas, maxPriorityFeePerGas }: FeeEstimate): bigint =>
  market ? market.nextBaseFee + maxPriorityFeePerGas : maxFeePerGas;

/** True for a lock of an asset that is taken whatever its tip. */
export function isAllowed({ tokens }: WatchtowerConfig, chain: string, { kind, terms }: AnyLock): boolean {
  const listed = Object.hasOwn(tokens, chain) ? (tokens[chain] ?? []) : [];
  return listed.includes(kind !== "item" && terms.token === zeroAddress ? "native" : terms.token);
}

/** Throws `tip-too-low`, or `tip-missing` for none, with the numbers when the tip does not cover the policy's share of the gas of one claim. */
export function requireTip({ minTipPercent }: WatchtowerConfig, { terms }: AnyLock, fees: FeeEstimate): void {
  const gasPrice = presentPrice(fees);
  const needed = (claimGas * gasPrice * BigInt(minTipPercent) + 99n) / 100n;
  if (terms.tip >= needed) return;
  throw new LockstepError(
    // Gas that gets cheaper helps a tip, and none at all never.
    terms.tip === 0n ? "tip-missing" : "tip-too-low",
    `the lock's tip is ${terms.tip} wei; at ${gasPrice} wei a gas the least for an asset that is not on the list is ${needed}`,
    { details: { tip: terms.tip, needed, gasPrice, gas: claimGas, minTipPercent } },
  );
}

/**
 * Who pays for a swap of two parties that are both external: the watchtower's account, if its policy takes the locks of
 * both legs. Otherwise nobody, and they send everything themselves.
 */
export const createOperatorPays =
  ({ config, chains }: { config: WatchtowerConfig | undefined; chains: SwapChains }) =>
  async (legs: Readonly<Record<LegName, LegTerms>>): Promise<string | undefined> => {
    if (!config) return undefined;
    for (const leg of Object.values(legs)) {
      const lock = lockOf(leg, zeroHash);
      if (isAllowed(config, leg.chain, lock)) continue;
      try {
        requireTip(config, lock, await chains.get(leg.chain).chain.fees());
      } catch (error) {
        if (isLockstepError(error, "tip-too-low") || isLockstepError(error, "tip-missing")) return undefined;
        throw error;
      }
    }
    return config.account;
  };
