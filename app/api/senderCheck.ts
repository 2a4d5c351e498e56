import type { HealthCheck } from "#core/http/health.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import { isLowOn } from "#core/sender/metrics.ts";

/**
 * An account that is halted sends nothing at all any more, claims included: the process is not of use. One that gets
 * nothing into a block, or has little money left, is named while others go on.
 */
export function senderCheck(sender: Pick<RunningSender, "status" | "stuck">): HealthCheck {
  return {
    name: "sender",
    async check() {
      const all = sender.status();
      const halted = all.filter(({ state }) => state === "halted");
      if (halted.length > 0) {
        return halted
          .map(({ chain, account, error }) => `${account} on ${chain}: ${error?.code ?? "halted"}`)
          .join(", ");
      }
      const stuck = await sender.stuck();
      const warnings = [
        ...stuck.map(({ chain, account, intent, ageMs, reason = "not known" }) => {
          return `${account} on ${chain} is stuck: ${intent} waits for ${Math.round(ageMs / 1_000)} s (${reason})`;
        }),
        ...all.filter(isLowOn).map(({ chain, account, balance, lowBelow }) => {
          return `${account} on ${chain} holds ${balance} wei and should hold ${lowBelow}`;
        }),
      ];
      return warnings.length > 0 ? { warning: warnings.join("; ") } : undefined;
    },
  };
}
