import type { ApprovalConfig } from "#core/config/approval.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { assetKey } from "../assets.ts";
import type { LegTerms } from "../events.ts";
import { legOf, managed, partyOf } from "../parties.ts";
import type { Swap } from "../swap.ts";
import type { LockStep } from "./approver.ts";

/** Which locks have to be approved before they are made. */
export type ApprovalPolicy = {
  /** False where nothing ever has to. */
  readonly asks: boolean;
  asksAbout(terms: Pick<LegTerms, "chain" | "asset" | "amount">): boolean;
};

export function createApprovalPolicy(config: ApprovalConfig): ApprovalPolicy {
  if ("mode" in config && config.mode === "accept") return { asks: false, asksAbout: () => false };
  const least = new Map<string, bigint>();
  for (const [chain, assets] of Object.entries(config.askFrom)) {
    for (const [asset, amount] of Object.entries(assets)) {
      const key = asset === "native" ? asset : checksummed(asset.toLowerCase() as Hex);
      least.set(`${chain} ${key}`, amount);
    }
  }
  return {
    asks: true,
    asksAbout: ({ chain, asset, amount }) => amount >= (least.get(`${chain} ${assetKey(asset)}`) ?? 0n),
  };
}

/** The lock that a swap comes to next. */
export const nextLock = ({ legs }: Swap): LockStep => (legs.source.lock === undefined ? "lock-source" : "lock-target");

/** Whether a lock must not be made because its approval is missing. Only what a managed account locks is asked about. */
export function approvalMissing(policy: ApprovalPolicy, swap: Swap, step: LockStep): boolean {
  if (managed(swap[partyOf(step)]) === undefined) return false;
  return !swap.approved.includes(step) && policy.asksAbout(swap.terms[legOf(step)]);
}
