import type { Metrics } from "../observe/metrics.ts";
import type { RunningSender } from "./createSender.ts";
import type { LaneStatus } from "./lane.ts";

type Watched = Pick<RunningSender, "status" | "figures" | "stuck">;

/** What is under way, what it cost and what stands in its way, whenever somebody looks. */
export function gaugeSender(metrics: Metrics, sender: Watched): void {
  gaugeAccounts(metrics, sender);
  gaugeIntents(metrics, sender);
}

/** The accounts that this process sends with. */
function gaugeAccounts(metrics: Metrics, sender: Pick<Watched, "status">): void {
  const each = (name: string, help: string, read: (status: LaneStatus) => number | undefined) =>
    metrics.gauge(name, help, ["chain", "account"], (set) => {
      for (const status of sender.status()) {
        const { chain, account } = status;
        const value = read(status);
        if (value !== undefined) set({ chain, account }, value);
      }
    });
  each("sender_open", "Intents that have a nonce and have not ended", ({ open }) => open);
  each(
    "sender_waiting_seconds",
    "How long the lowest transaction has been in no block",
    ({ oldestWaitingMs = 0 }) => oldestWaitingMs / 1_000,
  );
  each("sender_halted", "1 where nothing is sent any more", ({ state }) => (state === "halted" ? 1 : 0));
  each("sender_balance_wei", "What an account had when last asked", ({ balance }) =>
    balance === undefined ? undefined : Number(balance),
  );
  each("sender_balance_low", "1 where an account has less than it should", (status) => {
    const isLow = isLowOn(status);
    return isLow === undefined ? undefined : Number(isLow);
  });
}

/** All accounts, whichever process sends with them. */
function gaugeIntents(metrics: Metrics, sender: Pick<Watched, "figures" | "stuck">): void {
  const labels = ["chain", "account", "kind"];
  metrics.gauge("sender_intents", "Intents that have not ended", [...labels, "state"], async (set) => {
    const { open } = await sender.figures();
    for (const { chain, account, kind, state, count } of open) set({ chain, account, kind, state }, count);
  });
  metrics.gauge("sender_intents_ended", "Intents that have ended, ever", [...labels, "outcome"], async (set) => {
    const { ended } = await sender.figures();
    for (const { chain, account, kind, ...counts } of ended) {
      for (const outcome of ["succeeded", "reverted", "abandoned"] as const) {
        set({ chain, account, kind, outcome }, Number(counts[outcome]));
      }
    }
  });
  metrics.gauge("sender_gas_paid_wei", "What intents that have ended paid for gas, ever", labels, async (set) => {
    const { ended } = await sender.figures();
    for (const { chain, account, kind, fees } of ended) set({ chain, account, kind }, Number(fees));
  });
  metrics.gauge(
    "sender_stuck_seconds",
    "How old the oldest stuck intent is",
    ["chain", "account", "reason"],
    async (set) => {
      for (const { chain, account, ageMs, reason = "unknown" } of await sender.stuck()) {
        set({ chain, account, reason }, ageMs / 1_000);
      }
    },
  );
}

/** Undefined where nothing was asked for or can be told. */
export const isLowOn = ({ balance, lowBelow }: Pick<LaneStatus, "balance" | "lowBelow">): boolean | undefined =>
  balance === undefined || lowBelow === undefined ? undefined : balance < lowBelow;
