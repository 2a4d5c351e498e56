import type { Metrics } from "../observe/metrics.ts";
import type { RunningSender } from "./createSender.ts";

/** What this process has under way, whenever somebody looks. */
export function gaugeSender(metrics: Metrics, sender: Pick<RunningSender, "status">): void {
  const labels = ["chain", "account"];
  metrics.gauge("sender_open", "Intents that have a nonce and have not ended", labels, (set) => {
    for (const { chain, account, open } of sender.status()) set({ chain, account }, open);
  });
  metrics.gauge("sender_waiting_seconds", "How long the lowest transaction has been in no block", labels, (set) => {
    for (const { chain, account, oldestWaitingMs = 0 } of sender.status()) {
      set({ chain, account }, oldestWaitingMs / 1_000);
    }
  });
  metrics.gauge("sender_halted", "1 where nothing is sent any more", labels, (set) => {
    for (const { chain, account, state } of sender.status()) set({ chain, account }, state === "halted" ? 1 : 0);
  });
}
