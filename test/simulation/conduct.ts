import type { LegName } from "#swap/events.ts";
import type { PartyName } from "#swap/parties.ts";
import { effects, type Field, isPublic, type Move, openLock } from "./field.ts";
import { longestRestart, start } from "./scenario.ts";

/** When an external party does what it should; Unix seconds, and seconds for delays. */
export type Pace = {
  readonly lockAt: number;
  readonly lockBy: number;
  readonly claimAfter: number;
  readonly claimFrom?: number;
  readonly claimBy: number;
};

/** The steps of a party that keeps to the rules, at a pace at which it may break them. */
export function properMoves(field: Field, name: PartyName, pace: Pace): Move[] {
  return name === "initiator" ? initiatorMoves(field, pace) : counterpartyMoves(field, pace);
}

export function honestPace({ random, scenario }: Field, name: PartyName): Pace {
  const { deadlines, conduct } = scenario;
  const lockBy = Number(name === "initiator" ? deadlines.sourceLockBy : deadlines.counterLockBy);
  const isSlow = conduct === "slow";
  return {
    lockAt: isSlow ? random.int(start, lockBy) : start + random.int(0, 2),
    lockBy,
    claimAfter: isSlow ? random.int(0, longestRestart) : random.int(0, 2),
    ...(isSlow && name === "initiator" && { claimFrom: Number(deadlines.revealBy) - random.extreme(0, 60) }),
    claimBy: name === "initiator" ? Number(deadlines.revealBy) : Number.POSITIVE_INFINITY,
  };
}

function initiatorMoves(field: Field, pace: Pace): Move[] {
  const { random, scenario } = field;
  const target = effects(field, "target");
  const handsIn = random.chance(0.5);
  let safeSince: number | undefined;
  return [
    locking(field, "source", pace, () => true),
    () => {
      const now = field.now();
      if (!openLock(field, "target", "final") || !openLock(field, "source", "final")) return false;
      safeSince ??= now;
      if (now < safeSince + pace.claimAfter || now < (pace.claimFrom ?? now) || now > pace.claimBy) return false;
      // The service takes a secret only where it would use it.
      const swap = field.swap();
      const isTaken = swap && !swap.givenUp && swap.legs.source.lockFinal && swap.legs.target.lockFinal;
      if (handsIn && !swap?.secretKept && now <= Number(scenario.deadlines.revealBy)) {
        if (!isTaken) return false;
        field.hand({ type: "SecretReceived", data: {} });
        return true;
      }
      field.send("target", target.claim());
      return true;
    },
    refunding(field, "source"),
  ];
}

function counterpartyMoves(field: Field, pace: Pace): Move[] {
  let seenAt: number | undefined;
  const source = effects(field, "source");
  return [
    locking(field, "target", pace, () => openLock(field, "source", "final") !== undefined),
    () => {
      if (!isPublic(field)) return false;
      seenAt ??= field.now();
      if (field.now() < seenAt + pace.claimAfter) return false;
      field.send("source", source.claim());
      return true;
    },
    refunding(field, "target"),
  ];
}

/** By its own transaction, or by a signature that the service sends. */
function locking(field: Field, leg: LegName, pace: Pace, isReady: () => boolean): Move {
  const { id, lock, terms } = effects(field, leg);
  const signs = field.scenario.terms[leg].asset.type === "erc20" && field.random.chance(0.4);
  return () => {
    const now = field.now();
    if (now > pace.lockBy) return true;
    if (now < pace.lockAt || !isReady()) return false;
    const swap = field.swap();
    if (!signs) {
      field.send(leg, lock());
      return true;
    }
    if (!swap || swap.givenUp || swap.legs[leg].lock) return false;
    const data = { leg, kind: "lock", nonce: BigInt(id), deadline: terms.timelock, signature: terms.sender } as const;
    field.hand({ type: "SignatureReceived", data });
    return true;
  };
}

function refunding(field: Field, leg: LegName): Move {
  const { refund } = effects(field, leg);
  let again = Number(field.scenario.terms[leg].timelock);
  return () => {
    if (field.now() >= again && openLock(field, leg, "latest")) {
      again = field.now() + 10;
      field.send(leg, refund());
    }
    return false;
  };
}
