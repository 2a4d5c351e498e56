import type { LegName } from "#swap/events.ts";
import { claimerOf, type PartyName } from "#swap/parties.ts";
import { type LockTerms, lockId } from "#swap/protocol/lockId.ts";
import { properMoves } from "./conduct.ts";
import { ageOf, effects, type Field, isPublic, type Move, openLock } from "./field.ts";
import type { ModelTransaction } from "./modelChain.ts";
import { timelockContract } from "./modelLogs.ts";
import { signConsent, tokenContract } from "./modelPort.ts";
import { longestRestart, skew, start } from "./scenario.ts";

/** What an enemy does, each with some chance; who is external decides which of it can be done. */
export function maliciousMoves(field: Field, name: PartyName): Move[] {
  const { random } = field;
  const some = (probability: number, moves: () => Move[]) => (random.chance(probability) ? moves() : []);
  const own: LegName = name === "initiator" ? "source" : "target";
  const other: LegName = name === "initiator" ? "target" : "source";
  return [
    ...some(0.4, () => foreignLocks(field, own)),
    ...some(0.9, () => properMoves(field, name, edgyPace(field, name))),
    ...some(0.25, () => vanishingLock(field, own)),
    ...(name === "initiator" ? some(0.8, () => [...lastSecondReveal(field), ...greedyClaim(field)]) : []),
    ...some(0.4, () => edgeRefunds(field, own)),
    ...some(0.3, () => consentGames(field, other)),
    ...some(0.4, () => replays(field, own)),
    ...some(0.5, () => copiedClaim(field, own)),
    ...some(0.5, () => squeezedClaim(field, name === "initiator" ? "source" : "target")),
    ...some(0.3, () => vanishingClaim(field, other)),
    ...some(0.3, () => halts(field)),
  ];
}

/** All that bounds allow at once. */
export function siegeMoves(field: Field, name: PartyName): Move[] {
  return name === "initiator" ? siegeOfCounterparty(field) : siegeOfInitiator(field);
}

/** All that can go against a counterparty at once: the secret as late as possible, then its own claim as slow as possible. */
function siegeOfCounterparty(field: Field): Move[] {
  const { random } = field;
  const [locking] = properMoves(field, "initiator", { ...edgyPace(field, "initiator"), lockAt: start });
  return [
    ...(locking ? [locking] : []),
    ...lastSecondReveal(field),
    crashWhenPublic(field),
    ...random.pick([copiedClaim, squeezedClaim, squeezedClaim])(field, "source"),
    ...edgeRefunds(field, "source"),
    ...greedyClaim(field),
  ];
}

/** Claims what was locked for it though it has its own back already. */
function greedyClaim(field: Field): Move[] {
  const { claim } = effects(field, "target");
  const source = effects(field, "source");
  return [
    () => {
      const isBack = field.chain("source").lock(source.id)?.end === "refunded";
      if (!isBack || !openLock(field, "target", "latest")) return false;
      field.send("target", claim(), { private: true });
      return true;
    },
  ];
}

/** A lock that is final so late that the secret is shown as late as possible, and a claim as slow as possible. */
function siegeOfInitiator(field: Field): Move[] {
  const pace = { ...edgyPace(field, "counterparty"), claimAfter: 0 };
  return [
    ...properMoves(field, "counterparty", { ...pace, lockAt: lateLock(field) + field.random.int(0, 16) }),
    ...squeezedClaim(field, "target"),
    ...edgeRefunds(field, "target"),
  ];
}

function crashWhenPublic(field: Field): Move {
  return () => {
    if (!isPublic(field)) return false;
    field.crash();
    return true;
  };
}

/** The worst that chains can do to claims when nobody is an enemy. */
export function worstLuck(field: Field): Move[] {
  return field.random.chance(0.3) ? [...squeezedClaim(field, "source"), ...squeezedClaim(field, "target")] : [];
}

function edgyPace(field: Field, name: PartyName) {
  const { random, scenario } = field;
  const { deadlines, timelocks } = scenario;
  const late = lateLock(field);
  const lockAt =
    name === "initiator" ? random.extreme(start, Number(deadlines.sourceLockBy)) : random.pick([start, late, late]);
  const never = Number.POSITIVE_INFINITY;
  return {
    lockAt,
    lockBy: never,
    claimAfter: random.pick([0, random.int(0, 60), Math.max(0, Number(timelocks.target) - start - random.int(0, 40))]),
    claimBy: never,
  };
}

/** Final just before the secret may be shown, so that it is shown as late as it may. */
function lateLock({ random, scenario: { deadlines, timing, habits } }: Field): number {
  const { finality, inclusion } = timing.target;
  const waits = random.chance(habits.target.spite) ? Number(inclusion) : 0;
  return Number(deadlines.revealBy - finality) - waits - random.int(1, 7);
}

/** Locks under the same hashlock that are not the leg: a wei, another recipient, another time, token or chain. */
function foreignLocks(field: Field, leg: LegName): Move[] {
  const { random, scenario } = field;
  const { terms } = effects(field, leg);
  const mine = terms.sender;
  const isNative = terms.token !== tokenContract;
  const variants: LockTerms[] = [
    { ...terms, amount: 1n },
    { ...terms, amount: terms.amount - 1n },
    { ...terms, recipient: mine },
    { ...terms, timelock: terms.timelock - BigInt(random.int(1, 60)) },
    { ...terms, token: isNative ? tokenContract : "0x0000000000000000000000000000000000000000" },
  ];
  const chosen = random.pick(variants);
  const at = start + random.int(0, 20);
  const on: LegName = random.chance(0.85) ? leg : leg === "source" ? "target" : "source";
  const id = lockId(on === "source" ? 1 : 2, timelockContract, chosen);
  return [
    once(field, at, () => void field.send(on, { kind: "lock", id, terms: chosen })),
    () => {
      const open = field.chain(on).lock(id)?.end === undefined;
      if (!isPublic(field) || !open) return false;
      field.send(on, { kind: "claim", id, secret: scenario.secret });
      return true;
    },
  ];
}

/** A lock that is there until somebody acts on it, and then never was: its sender spent its nonce elsewhere. */
function vanishingLock(field: Field, leg: LegName): Move[] {
  const { random } = field;
  const soon = random.chance(0.5);
  const { lock } = effects(field, leg);
  let sent: ModelTransaction | undefined;
  return [
    () => {
      if (field.now() < start + 3) return false;
      sent = field.send(leg, lock(), { private: true });
      return true;
    },
    () => {
      if (!sent || ageOf(field, leg, sent.hash) === undefined) return false;
      const other = leg === "source" ? "target" : "source";
      const reacted = leg === "source" ? lockSeen(field, other) : isPublic(field);
      if (!reacted && !(soon && ageOf(field, leg, sent.hash) === field.scenario.habits[leg].depth - 1)) return false;
      return field.reorganise(leg, field.scenario.habits[leg].depth, { cancel: [sent.hash] });
    },
  ];
}

const lockSeen = (field: Field, leg: LegName) =>
  openLock(field, leg, "latest") !== undefined ||
  field
    .chain(leg)
    .waiting()
    .some(({ effect }) => effect.kind === "lock");

/** Shows the secret in the last second in which that is possible, or in a branch that was made then and is shown later. */
function lastSecondReveal(field: Field): Move[] {
  const { random, scenario } = field;
  const { claim } = effects(field, "target");
  const until = Number(scenario.timelocks.target);
  const { interval, depth, outage } = scenario.habits.target;
  if (random.chance(scenario.conduct === "siege" ? 0.2 : 0.5)) {
    const at = until - random.int(-skew, interval + skew);
    return [once(field, at, () => void field.send("target", claim(), { private: true }))];
  }
  const at = random.chance(0.7) ? until : until + random.int(0, depth * interval + outage);
  return [
    () => {
      const chain = field.chain("target");
      if (field.now() < at || (depth > 0 && chain.madeAt(depth) - skew + interval < until)) return false;
      // The last second before a block comes that leaves no time before the timelock.
      if (field.now() + 1 < chain.nextBlockAt() && random.chance(0.9)) return false;
      if (!openLock(field, "target", "final") || chain.madeAt(depth) - skew >= until) return true;
      field.reorganise("target", depth, { inject: field.transaction(claim()), withheld: true });
      return true;
    },
  ];
}

/** Refunds from the first second on in which a block's timestamp can be late enough. */
function edgeRefunds(field: Field, leg: LegName): Move[] {
  const { refund } = effects(field, leg);
  const from = Number(field.scenario.timelocks[leg]) - skew - 1;
  return Array.from({ length: 6 }, (_, place) =>
    once(field, from + place, () => void field.send(leg, refund(), { private: true })),
  );
}

/** Agrees that the leg which pays it is refunded early, hands that in, uses it itself, or takes it back. */
function consentGames(field: Field, leg: LegName): Move[] {
  const { random, scenario } = field;
  const { id, terms } = effects(field, leg);
  const nonce = BigInt(random.int(1, 1_000));
  const at = random.int(start, Number(scenario.timelocks.target));
  const handsIn = random.chance(0.7);
  const revokes = random.chance(0.4);
  const uses = random.chance(0.5);
  return [
    () => {
      const lock = openLock(field, leg, "latest");
      if (field.now() < at || !lock) return false;
      const consent = { signer: terms.recipient, id, lockedAt: lock.at, nonce };
      const swap = field.swap();
      const isTaken = swap?.legs[leg].lock && !swap.legs[leg].end;
      if (handsIn && isTaken) {
        const once = { nonce, deadline: terms.timelock, signature: signConsent(consent) };
        field.hand({ type: "SignatureReceived", data: { leg, kind: "early-refund", ...once } });
      }
      if (revokes) field.send(leg, { kind: "revoke", account: terms.recipient, nonce }, { private: true });
      if (uses) field.send(leg, { kind: "refundEarly", id, consent }, { private: true });
      return true;
    },
  ];
}

/** Everybody's consents and the same terms again, as often as they are good for something. */
function replays(field: Field, leg: LegName): Move[] {
  const { id, lock } = effects(field, leg);
  let used = 0;
  let relocked = false;
  return [
    () => {
      const consents = field.chain(leg).consents();
      if (consents.length > used && used < 4) {
        const consent = consents[consents.length - 1];
        used += 1;
        if (consent) field.send(leg, { kind: "refundEarly", id, consent });
      }
      const known = field.chain(leg).lock(id);
      if (known?.end !== undefined && !relocked && field.random.chance(0.1)) {
        relocked = true;
        field.send(leg, lock());
      }
      return false;
    },
  ];
}

/**
 * Claims the leg that pays the managed party for it as soon as the secret is public, so that the service finds nothing to
 * do, and lets that claim be replaced just before it is final.
 */
function copiedClaim(field: Field, leg: LegName): Move[] {
  const { claim } = effects(field, leg);
  const delay = field.random.extreme(0, longestRestart);
  let copy: ModelTransaction | undefined;
  let since: number | undefined;
  return [
    () => {
      if (!isPublic(field) || !openLock(field, leg, "latest")) return false;
      since ??= field.now();
      // As long as the service is dead it cannot send its own.
      if (field.now() < since + delay) return false;
      copy = field.send(leg, claim(), { private: true });
      return true;
    },
    () => {
      if (!copy) return false;
      const age = ageOf(field, leg, copy.hash);
      if (age === undefined || !isAlmostFinal(field, leg, age)) return false;
      if (field.reorganise(leg, age + 1, { cancel: [copy.hash] })) field.crash();
      return true;
    },
  ];
}

/** The next block makes what is so old final. */
function isAlmostFinal(field: Field, leg: LegName, age: number): boolean {
  return age >= field.scenario.habits[leg].depth - 1 && field.now() + 1 >= field.chain(leg).nextBlockAt();
}

/** Lets the managed party's claim be mined, reorganised out just before it is final, and mined again. */
function squeezedClaim(field: Field, leg: LegName): Move[] {
  const { id } = effects(field, leg);
  return [
    () => {
      if (field.chain(leg).lock(id)?.end !== "claimed") return false;
      const age = field.chain(leg).ageOfEnd(id);
      if (age === undefined || !isAlmostFinal(field, leg, age)) return false;
      field.reorganise(leg, age + 1);
      return true;
    },
  ];
}

/** Its own claim, which is gone again once the other side has acted on it. */
function vanishingClaim(field: Field, leg: LegName): Move[] {
  const { claim } = effects(field, leg);
  const knows = leg === "target" ? field.scenario.external === claimerOf("target") : false;
  let sent: ModelTransaction | undefined;
  return [
    () => {
      if (!openLock(field, leg, "latest") || !(knows || isPublic(field)) || !field.random.chance(0.1)) return false;
      sent = field.send(leg, claim(), { private: true });
      return true;
    },
    () => {
      if (!sent) return false;
      const age = ageOf(field, leg, sent.hash);
      if (age === undefined || (age < field.scenario.habits[leg].depth - 1 && field.random.chance(0.5))) return false;
      field.reorganise(leg, age + 1, { cancel: [sent.hash] });
      return true;
    },
  ];
}

function halts(field: Field): Move[] {
  return (["source", "target"] as const).map((leg) => () => {
    const claimed = field
      .chain(leg)
      .waiting()
      .some(({ effect }) => effect.kind === "claim");
    return claimed && field.halt(leg);
  });
}

function once(field: Field, at: number, act: () => void): Move {
  return () => {
    if (field.now() < at) return false;
    act();
    return true;
  };
}
