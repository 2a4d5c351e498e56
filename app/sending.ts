import type { ChainConfig } from "#core/config/chains.ts";
import type { RelayConfig } from "#core/config/relay.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { defaultFeeCeiling, urgentFeeCeiling } from "#core/sender/fees.ts";
import { pressureOf, type UrgentCeilings } from "#core/sender/urgency.ts";

/** The pool that deliveries and retries are sent from; no account can have its name. */
export const relayPool = "relay.accounts";

/** A pool also where there is one account: what is asked of a pool keeps its order. */
export const sendPools = ({ relay }: ServiceConfig): Readonly<Record<string, readonly string[]>> => ({
  [relayPool]: relay.accounts ?? [relay.account],
});

/** Transactions that an account which delivers should have the money for, unless configured otherwise. */
const alarmTransactions = 20;
const leastStuckMs = 60_000;

const isClaim = (kind: string) => kind.startsWith("swap.claim-");
/** Nothing is lost by waiting: a refund stays possible for ever once it is. */
const isRefund = (kind: string) => /^(swap\.refund-|watch\.refund$)/.test(kind);

/** How a chain is sent to; `live` says what changes while the settings do not. */
export function sendSettings({ account, accounts }: Pick<RelayConfig, "account" | "accounts">) {
  const delivering = accounts ?? [account];
  return (chain: ChainConfig, live: Pick<SendSettings, "holds" | "inclusionMs">): Partial<SendSettings> => {
    const { pollMs, blockSeconds, inclusionSeconds, feeCeilings, balanceAlarms } = chain;
    const ordinary = ordinaryCeiling(chain);
    return {
      ...{ pollMs, resendMs: Math.max(1_000, 2_000 * blockSeconds), outbids: isClaim, patient: isRefund, ...live },
      stuckMs: Math.max(leastStuckMs, 1_000 * inclusionSeconds),
      // A ceiling for everything does not take a claim's away: only one that names the claim does.
      feeCeiling: (kind) => feeCeilings[kind] ?? (isClaim(kind) ? urgentFeeCeiling : ordinary),
      urgentCeilings: (kind) => urgentCeilings(chain, kind),
      lowBalance: (name) =>
        balanceAlarms[name] ??
        balanceAlarms.default ??
        (delivering.includes(name) ? { transactions: alarmTransactions } : undefined),
    };
  };
}

const ordinaryCeiling = ({ feeCeilings }: Pick<ChainConfig, "feeCeilings">) => feeCeilings.default ?? defaultFeeCeiling;

function urgentCeilings(chain: Pick<ChainConfig, "feeCeilings">, kind: string): UrgentCeilings {
  const most = chain.feeCeilings[kind];
  if (most !== undefined) return { ordinary: most, unpriced: most, most };
  return { ordinary: ordinaryCeiling(chain), unpriced: urgentFeeCeiling };
}

/** Wei a gas that a claim or refund ever offers at most: a claim up to what it brings, near its deadline. */
export function highestFee(
  chain: Pick<ChainConfig, "feeCeilings">,
  kind: string,
  { gas, worth }: { readonly gas: bigint; readonly worth: bigint | undefined },
): bigint {
  if (!isClaim(kind)) return chain.feeCeilings[kind] ?? ordinaryCeiling(chain);
  const ceilings = urgentCeilings(chain, kind);
  return pressureOf({ by: 0n, ...(worth !== undefined && { worth }) }, { gas, ceilings, now: 0, inclusionMs: 0 })
    .ceiling;
}
