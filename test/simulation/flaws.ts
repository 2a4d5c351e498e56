import { decodeEventLog } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { IntentGuard } from "#core/sender/sender.ts";
import type { LegName, SwapEvent } from "#swap/events.ts";
import type { LockTerms } from "#swap/protocol/lockId.ts";
import { isOpen } from "#swap/swap.ts";
import type { Flaw } from "./flaw.ts";
import { lockTermsOf } from "./modelPort.ts";
import { legOfChain, reaction, type Scenario } from "./scenario.ts";

const agreeing: IntentGuard = async () => ({ send: true });
const yes: Hex = `0x${"1".padStart(64, "0")}`;

/** What a service, or the contract below it, could do wrong, each of which costs somebody. */
export const flaws: Readonly<Record<string, Flaw>> = {
  "no mark before the secret leaves": {
    guard: (kind, guard) => (kind === "swap.claim-target" ? agreeing : guard),
  },
  "a claim that may be sent at any time": {
    guard: (kind, guard) => (kind === "swap.claim-target" ? agreeing : guard),
    intent: ({ notAfter: _, ...intent }) => intent,
  },
  "no second look before the counter-lock": {
    guard: (kind, guard) => (kind === "swap.lock-target" ? agreeing : guard),
  },
  "a reveal that is a block too late": {
    reaction: ({ target }) => reaction - BigInt(target.interval),
  },
  "timelocks that are a block too near to each other": {
    timelocks: ({ source, target }, _timing, habits) => ({ source: source - BigInt(habits.source.interval), target }),
  },
  "timelocks that count nothing for a reveal which is shown late": {
    timelocks: ({ source, target }, timing) => ({ source: source - timing.target.finality, target }),
  },
  "timelocks that count nothing for a claim by others which is undone": {
    timelocks: ({ source, target }, { reaction }) => ({ source: source - reaction, target }),
  },
  "a contract that refunds one second early": {
    windows: {
      mayClaim: ({ timelock }, timestamp) => timestamp < timelock,
      mayRefund: ({ timelock }, timestamp) => timestamp >= timelock - 1n,
    },
  },
  "a contract that pays a claim at the timelock": {
    windows: {
      mayClaim: ({ timelock }, timestamp) => timestamp <= timelock,
      mayRefund: ({ timelock }, timestamp) => timestamp >= timelock,
    },
  },
  "the newest block taken for final": {
    newestIsFinal: true,
    port: (port, chain) => ({ ...port, block: async (at) => chain.block(at === "final" ? "latest" : at) }),
  },
  "a foreign lock with the same hashlock taken for the leg": sameLock(() => true),
  "an amount that is not compared": sameLock(
    (leg, own) => leg.recipient === own.recipient && leg.token === own.token && leg.timelock === own.timelock,
  ),
  "a secret that is forgotten when a claim is undone": { view: forgetting },
  "a claim that waits for the other chain": {
    guard: (kind, guard, swap) =>
      kind === "swap.claim-source"
        ? async (intent) => {
            if (!swap().legs.target.endFinal) throw new Error("asked again");
            return guard(intent);
          }
        : guard,
  },
  "consent while the own lock may still be mined": {
    decides: (swap) => {
      const { source, target } = swap.legs;
      const mayBeMined = swap.steps["lock-target"]?.state === "started" && !target.lock && !target.end;
      return mayBeMined && source.lockFinal && isOpen(source) && !source.earlyRefund ? [agreed(swap, "source")] : [];
    },
  },
  "consent before the own refund is final": {
    decides: (swap) => {
      const { source, target } = swap.legs;
      const isRefunded = target.end?.kind === "refunded" && !swap.publicSecret;
      return isRefunded && isOpen(source) && !source.earlyRefund ? [agreed(swap, "source")] : [];
    },
  },
  "consent after the secret was shown": {
    decides: (swap) => {
      const { target } = swap.legs;
      return swap.revealStarted && isOpen(target) && target.lockFinal && !target.earlyRefund
        ? [agreed(swap, "target")]
        : [];
    },
  },
};

function agreed(swap: Parameters<NonNullable<Flaw["decides"]>>[0], leg: LegName): SwapEvent {
  const data = { leg, lockedAt: swap.legs[leg].lock?.at ?? 0n, nonce: 7n, deadline: swap.terms[leg].timelock };
  return { type: "EarlyRefundAgreed", data };
}

const ownTerms = ({ terms, hashlock }: Scenario, leg: LegName) => lockTermsOf(terms[leg], hashlock);

/** Takes every lock for the leg that has its hashlock and is alike in what is looked at. */
function sameLock(isAlike: (lock: LockTerms, own: LockTerms) => boolean): Flaw {
  const fits = (lock: LockTerms, scenario: Scenario, leg: LegName) =>
    lock.hashlock === scenario.hashlock && isAlike(lock, ownTerms(scenario, leg));
  return {
    logs: (logs, leg, scenario) =>
      logs.map((log) => {
        const topics = log.topics as [Hex, ...Hex[]];
        const decoded = decodeEventLog({ abi: hashedTimelockAbi, topics, data: log.data });
        if (decoded.eventName !== "Locked") return log;
        const terms = { ...decoded.args, ...lowered(decoded.args) };
        const [selector, , ...rest] = log.topics;
        const own = scenario.terms[leg].lockId;
        return selector && fits(terms, scenario, leg) ? { ...log, topics: [selector, own, ...rest] } : log;
      }),
    port: (port, chain, scenario) => ({
      ...port,
      async call(request, at) {
        const answer = await port.call(request, at);
        const leg = legOfChain(chain.name);
        if (request.data?.slice(10) !== scenario.terms[leg].lockId.slice(2)) return answer;
        const { locks } = chain.stateAt(typeof at === "bigint" ? at : "latest");
        const open = [...locks.values()].some(({ terms, end }) => end === undefined && fits(terms, scenario, leg));
        return open ? yes : answer;
      },
    }),
  };
}

const lowered = ({ sender, recipient, token }: LockTerms) => ({
  sender: sender.toLowerCase() as Hex,
  recipient: recipient.toLowerCase() as Hex,
  token: token.toLowerCase() as Hex,
});

/** Without the secrets that were seen before a claim was undone. */
function forgetting(events: readonly StoredEvent<SwapEvent>[]): readonly StoredEvent<SwapEvent>[] {
  const last = events.findLastIndex((event) => event.type === "LegReorged" && event.data.undone === "claim");
  if (last < 0) return events;
  return events.map((event, place) => {
    if (place > last || event.type !== "LegClaimed") return event;
    return { ...event, data: { ...event.data, secret: undefined } } as unknown as StoredEvent<SwapEvent>;
  });
}
