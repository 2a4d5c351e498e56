import type { LegName, SwapEvent } from "#swap/events.ts";
import type { ModelChain } from "./modelChain.ts";
import type { Effect } from "./modelContract.ts";
import { type Scenario, start } from "./scenario.ts";

/** The timeline of a schedule for people, in seconds from the request; keeps nothing unless it is wanted. */
export type Trace = {
  scenario(scenario: Scenario): void;
  event(event: SwapEvent): void;
  sent(leg: LegName, effect: Effect, isPrivate: boolean): void;
  note(what: string): void;
  /** The chain, with what it does in the trace. */
  chain(chain: ModelChain, leg: LegName): ModelChain;
  lines(): readonly string[];
};

export function createTrace(wanted: boolean, seconds: () => number): Trace {
  const lines: string[] = [];
  const note = (what: string) => void (wanted && lines.push(`${String(seconds()).padStart(5)}  ${what}`));
  return {
    scenario({ external, conduct, habits, timing, timelocks, deadlines, hostility, stall, ample }) {
      if (!wanted) return;
      const after = (time: bigint | number) => Number(time) - start;
      note(external ? `the ${external} is external and ${conduct}` : "both parties are managed");
      note(shown({ habits, timing, hostility, stall, ample }));
      note(shown({ T1: after(timelocks.source), T2: after(timelocks.target) }));
      note(shown(Object.fromEntries(Object.entries(deadlines).map(([name, time]) => [name, after(time)]))));
    },
    event: (event) => void (wanted && note(`event ${event.type} ${shown(event.data)}`)),
    sent: (leg, effect, isPrivate) =>
      note(`${leg}: ${isPrivate ? "privately sent" : "sent"} by the external party: ${effect.kind}`),
    note,
    chain(chain, leg) {
      if (!wanted) return chain;
      let shownUpTo = -1n;
      const showNew = () => {
        const head = chain.block("latest")?.number ?? 0n;
        for (let at = shownUpTo + 1n; at <= head; at++) {
          const block = chain.block(at);
          for (const { effect, succeeded } of chain.transactionsOf(at)) {
            const time = Number(block?.timestamp ?? 0n) - start;
            note(`${leg}: block ${at} (its time ${time}): ${effect.kind}${succeeded ? "" : " reverts"}`);
          }
        }
        shownUpTo = head;
      };
      return {
        ...chain,
        pass(now) {
          chain.pass(now);
          showNew();
        },
        reorganise(depth, now, branch) {
          shownUpTo = (chain.block("latest")?.number ?? 0n) - BigInt(depth);
          chain.reorganise(depth, now, branch);
          showNew();
        },
        broadcast(transaction, now, how) {
          if (!chain.find(transaction.hash)) note(`${leg}: ${transaction.effect.kind} is broadcast`);
          chain.broadcast(transaction, now, how);
        },
      };
    },
    lines: () => lines,
  };
}

/** Nonces of consents are the one thing that is random in earnest. */
const shown = (value: unknown): string =>
  JSON.stringify(value, (key, each) => (key === "nonce" ? undefined : typeof each === "bigint" ? Number(each) : each));
