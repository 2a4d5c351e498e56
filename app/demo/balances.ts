import type { Holdings } from "./ledger.ts";
import { coinAmount, type Scenario, tokenAmount } from "./swaps.ts";

type Change = { coin: bigint; tokens: bigint };

/** What is wrong with the balances after the scenarios: every account has what it should, but for the gas it paid. */
export function checkBalances(before: Holdings, after: Holdings, scenarios: readonly Scenario[]): string[] {
  const wanted = expectedChanges(scenarios);
  const failures: string[] = [];
  for (const [account, chains] of Object.entries(after)) {
    for (const [chain, holding] of Object.entries(chains)) {
      const start = before[account]?.[chain];
      if (!start) continue;
      const gas = holding.gasPaid - start.gasPaid;
      const change = wanted.get(`${account} ${chain}`) ?? { coin: 0n, tokens: 0n };
      const coin = holding.coin - start.coin + gas;
      const tokens = holding.tokens - start.tokens;
      if (coin !== change.coin)
        failures.push(`${account} on ${chain}: coin changed by ${coin} before gas, expected ${change.coin}`);
      if (tokens !== change.tokens)
        failures.push(`${account} on ${chain}: tokens changed by ${tokens}, expected ${change.tokens}`);
    }
  }
  return failures;
}

function expectedChanges(scenarios: readonly Scenario[]): Map<string, Change> {
  const changes = new Map<string, Change>();
  const add = (account: string, chain: string, change: Partial<Change>) => {
    const { coin, tokens } = changes.get(`${account} ${chain}`) ?? { coin: 0n, tokens: 0n };
    changes.set(`${account} ${chain}`, { coin: coin + (change.coin ?? 0n), tokens: tokens + (change.tokens ?? 0n) });
  };
  for (const { initiator, counterparty } of scenarios.filter(({ expected }) => expected === "completed")) {
    add(initiator, "alpha", { coin: -coinAmount });
    add(counterparty, "alpha", { coin: coinAmount });
    add(counterparty, "beta", { tokens: -tokenAmount });
    add(initiator, "beta", { tokens: tokenAmount });
  }
  return changes;
}
