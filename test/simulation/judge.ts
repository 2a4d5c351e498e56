import type { LegName } from "#swap/events.ts";
import { addressOn, claimerOf, managed, type PartyName } from "#swap/parties.ts";
import { hasEnded } from "#swap/status.ts";
import type { Swap } from "#swap/swap.ts";
import type { ModelChain } from "./modelChain.ts";
import { gainOf } from "./modelContract.ts";
import { legNames, type Scenario } from "./scenario.ts";

/** What was noted while a schedule ran. */
export type Notes = {
  readonly problems: string[];
  /** A payout was tried and would have succeeded, in the last try before what cannot be taken back. */
  readonly paysAtLastCheck: Partial<Record<LegName, boolean>>;
  wasPublic: boolean;
  intents: number;
};

type Parts = { swap: Swap; scenario: Scenario; chains: Readonly<Record<LegName, ModelChain>>; notes: Notes };

/** Intents beyond which a service is said to run in circles; steps that fail are tried again ever more seldom. */
const mostIntents = 90;

/** What honest parties may expect, whatever the schedule was. */
export function judge(parts: Parts): string[] {
  const { swap, scenario, chains, notes } = parts;
  const problems: string[] = [];
  for (const name of ["initiator", "counterparty"] as const) {
    if (isHonest(scenario, name) && hasLost(parts, name)) problems.push(`the ${name} lost`);
  }
  const isManaged = managed(scenario.parties.initiator) !== undefined;
  if (notes.wasPublic && isManaged && gain(parts, "initiator", "target") <= 0n && !isExcused(parts, "target")) {
    problems.push("the secret was shown in vain");
  }
  if (!hasEnded(swap)) problems.push("the swap has not ended");
  for (const leg of legNames) {
    const open = gainOf(chains[leg].stateAt("latest"), scenario.terms[leg].lockId, scenario.terms[leg].sender) < 0n;
    const lock = chains[leg].lock(scenario.terms[leg].lockId);
    if (lock && lock.end === undefined && open && managed(scenario.parties[lockerName(leg)]) !== undefined) {
      problems.push(`the ${leg} leg was left open`);
    }
    if (chains[leg].overlaps().length > 0) problems.push(`a claim and a refund of the ${leg} leg were both possible`);
  }
  if (notes.intents > mostIntents) problems.push(`the service began ${notes.intents} transactions`);
  if (mustComplete(scenario) && !isComplete(parts)) problems.push("it was not completed");
  return problems;
}

const lockerName = (leg: LegName): PartyName => (leg === "source" ? "initiator" : "counterparty");

/** An external party that acts in time has kept to the rules as much as the service has. */
const isHonest = ({ external, conduct }: Scenario, name: PartyName) =>
  external !== name || conduct === "prompt" || conduct === "slow";

const gain = ({ scenario, chains }: Parts, name: PartyName, leg: LegName): bigint =>
  gainOf(chains[leg].stateAt("latest"), scenario.terms[leg].lockId, addressOn(scenario.parties[name], leg));

/** All that it had, or all of the other leg: less than both is a loss. */
function hasLost(parts: Parts, name: PartyName): boolean {
  const [gives, gets]: [LegName, LegName] = name === "initiator" ? ["source", "target"] : ["target", "source"];
  const given = gain(parts, name, gives);
  const got = gain(parts, name, gets);
  return given < 0n && got < parts.scenario.terms[gets].amount && !isExcused(parts, gets);
}

/** Nobody is safe from a token that stops to pay after the last look at it, and external parties do not look. */
function isExcused({ scenario, notes }: Parts, leg: LegName): boolean {
  if (scenario.hostility[leg] === undefined) return false;
  return notes.paysAtLastCheck[leg] === true || scenario.external === claimerOf(leg);
}

const isComplete = ({ scenario, chains }: Parts) =>
  legNames.every((leg) => chains[leg].lock(scenario.terms[leg].lockId)?.end === "claimed");

/** With enough time, tokens that pay and parties that are there, nothing else can come of it. */
const mustComplete = ({ ample, conduct, stall, hostility }: Scenario) =>
  ample && conduct === "prompt" && !stall && Object.keys(hostility).length === 0;
