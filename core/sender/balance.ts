import type { Fees } from "../chain/chain.ts";
import type { Log } from "../observe/log.ts";
import type { LaneMemory, LowBalance, SendSettings } from "./context.ts";

/** Gas of a transaction where none was seen yet. */
const usualGas = 300_000n;

/** Says in the log when an account gets low, and when it is well again: once each. */
export type BalanceAlarm = {
  look(memory: Pick<LaneMemory, "balance" | "flights">, fees: Fees | undefined): void;
  /** Wei under which the balance counts as low; undefined where nothing was asked for or can be told. */
  below(): bigint | undefined;
};

export function createBalanceAlarm(deps: {
  settings: Pick<SendSettings, "lowBalance">;
  account: string;
  log: Log;
}): BalanceAlarm {
  const wanted = deps.settings.lowBalance(deps.account);
  let gas = 0n;
  let threshold: bigint | undefined;
  let low = false;
  return {
    look({ balance, flights }, fees) {
      for (const { intent } of flights.values()) if (intent.gas > gas) gas = intent.gas;
      threshold = wanted && thresholdOf(wanted, gas === 0n ? usualGas : gas, fees);
      const isLow = threshold !== undefined && balance < threshold;
      if (isLow && !low) deps.log.error({ balance, below: threshold }, "balance of an account is low");
      if (!isLow && low) deps.log.info({ balance }, "balance of an account is well again");
      low = isLow;
    },
    below: () => threshold,
  };
}

/** Wei under which a balance is low; undefined as long as the price of gas is not known. */
function thresholdOf(wanted: LowBalance, gas: bigint, fees: Fees | undefined): bigint | undefined {
  if ("wei" in wanted) return wanted.wei;
  return fees && BigInt(wanted.transactions) * gas * fees.maxFeePerGas;
}
