import type { ChainConfig } from "#core/config/chains.ts";
import type { RelayConfig } from "#core/config/relay.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { defaultFeeCeiling } from "#core/sender/fees.ts";

/** The pool that deliveries and retries are sent from; no account can have its name. */
export const relayPool = "relay.accounts";

/** A pool also where there is one account: what is asked of a pool keeps its order. */
export const sendPools = ({ relay }: ServiceConfig): Readonly<Record<string, readonly string[]>> => ({
  [relayPool]: relay.accounts ?? [relay.account],
});

/**
 * A claim whose secret is public has to be mined whatever it costs, so it may offer far more than other transactions;
 * not without any bound, because a fee estimate is only what an endpoint says.
 */
const claimCeiling = 20n * defaultFeeCeiling;

/** Transactions that an account which delivers should have the money for, unless configured otherwise. */
const alarmTransactions = 20;
const leastStuckMs = 60_000;

const isClaim = (kind: string) => kind.startsWith("swap.claim-");

/** How a chain is sent to; `holds` says what waits while it is paused. */
export function sendSettings({ account, accounts }: Pick<RelayConfig, "account" | "accounts">) {
  const delivering = accounts ?? [account];
  return (chain: ChainConfig, holds: SendSettings["holds"]): Partial<SendSettings> => {
    const { pollMs, blockSeconds, inclusionSeconds, feeCeilings, balanceAlarms } = chain;
    return {
      ...{ pollMs, resendMs: Math.max(1_000, 2_000 * blockSeconds), outbids: isClaim, holds },
      stuckMs: Math.max(leastStuckMs, 1_000 * inclusionSeconds),
      // A ceiling for everything does not take a claim's away: only one that names the claim does.
      feeCeiling: (kind) =>
        feeCeilings[kind] ?? (isClaim(kind) ? claimCeiling : (feeCeilings.default ?? defaultFeeCeiling)),
      lowBalance: (name) =>
        balanceAlarms[name] ??
        balanceAlarms.default ??
        (delivering.includes(name) ? { transactions: alarmTransactions } : undefined),
    };
  };
}
