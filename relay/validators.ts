import type { RelayConfig } from "#core/config/relay.ts";
import type { Db } from "#core/db/db.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { countingSet, type Epoch, epochsOf } from "./epochs.ts";
import { type Lane, type Lanes, laneName } from "./lane.ts";
import { assertQuorumSet, type QuorumSet, type Threshold } from "./protocol/quorum.ts";
import type { SetFact } from "./protocol/sets.ts";
import { allSetFacts } from "./setFacts.ts";

export type ValidatorInfo = {
  /** Its address where the configuration has no name for it. */
  readonly name: string;
  readonly address: Hex;
  readonly weight: bigint;
  /** Where it is asked for signatures; it is not when the configuration does not say. */
  readonly url: string | undefined;
};

/** An epoch together with what is known of its validators. */
export type ValidatorEpoch = {
  readonly epoch: bigint;
  /** The whole set, as deliveries bring it along. */
  readonly set: QuorumSet;
  /** The set without those that were excluded: what a quorum is counted by. */
  readonly counting: QuorumSet;
  /** Those that count. */
  readonly all: readonly ValidatorInfo[];
  byAddress(address: Hex): ValidatorInfo | undefined;
};

/** The epochs that every lane's destination takes, as far as its blocks are indexed. */
export type Validators = {
  /** Newest first; empty when none is valid. */
  valid(lane: Lane): readonly ValidatorEpoch[];
  /** The newest valid one, or an empty one. */
  newest(lane: Lane): ValidatorEpoch;
};

/** Knows the validators of lanes: by the destinations' events, and by the configuration where these say nothing. */
export type ValidatorBook = {
  /** At most a second old; at once what this process has indexed. */
  read(): Promise<Validators>;
  /** To be called when facts have changed. */
  changed(): void;
  /** Everyone that the configuration names. */
  readonly named: readonly ValidatorInfo[];
};

type Config = Pick<RelayConfig, "validators" | "threshold" | "epoch">;

const keptMs = 1_000;
/** Seconds that an epoch must still have before it ends, so that a delivery under it is mined in time. */
const marginSeconds = 60n;

/** Throws `config-invalid` for a first set that no gateway would accept. */
export function createValidatorBook(deps: { db: Db; lanes: Lanes; config: Config; clock: Clock }): ValidatorBook {
  const { db, lanes, config, clock } = deps;
  const named = config.validators.map(({ weight, ...rest }): ValidatorInfo => ({ ...rest, weight: BigInt(weight) }));
  const first = firstSet(config);
  const infoOf = new Map(named.map((info) => [info.address, info]));
  let kept: { readonly at: number; readonly validators: Promise<Validators> } | undefined;

  const describe = (epoch: Epoch): ValidatorEpoch => {
    const counting = countingSet(epoch);
    const all = counting.validators.map(({ account: address, weight }): ValidatorInfo => {
      const { name = address, url } = infoOf.get(address) ?? {};
      return { name, address, weight, url };
    });
    // As the configuration has them, strangers last.
    const placeOf = ({ address }: ValidatorInfo) => named.findIndex((each) => each.address === address) >>> 0;
    all.sort((a, b) => placeOf(a) - placeOf(b));
    const byAddress = new Map(all.map((validator) => [validator.address, validator]));
    return { epoch: epoch.epoch, set: epoch.set, counting, all, byAddress: (address) => byAddress.get(address) };
  };

  async function load(): Promise<Validators> {
    const facts = await allSetFacts(db, lanes);
    const epochs = new Map(
      [...facts].map(([lane, own]) => {
        const known = epochsOf(startsAt(own, first.epoch + 1n) ? [first, ...own] : own);
        return [lane, known.map((epoch) => ({ validUntil: epoch.validUntil, described: describe(epoch) }))];
      }),
    );
    const valid = (lane: Lane) => {
      const soon = unixSeconds(clock) + marginSeconds;
      const left = (epochs.get(laneName(lane)) ?? []).filter(({ validUntil }) => !validUntil || validUntil > soon);
      return left.map(({ described }) => described);
    };
    return { valid, newest: (lane) => valid(lane)[0] ?? describe(noEpoch) };
  }

  return {
    named,
    read() {
      if (kept && clock.now() < kept.at + keptMs) return kept.validators;
      const validators = load();
      const mine = { at: clock.now(), validators };
      kept = mine;
      validators.catch(() => {
        if (kept === mine) kept = undefined;
      });
      return validators;
    },
    changed() {
      kept = undefined;
    },
  };
}

const noEpoch: Epoch = {
  ...{ epoch: 0n, excluded: new Set() },
  set: { validators: [], threshold: { rule: "simpleMajority" } },
};

/** Whether the events leave out everything before an epoch, so that the configuration speaks for that. */
function startsAt(facts: readonly SetFact[], epoch: bigint): boolean {
  const oldest = facts.find(({ kind }) => kind === "set")?.epoch;
  return oldest === undefined || oldest === epoch;
}

/** The set to start with; validators of weight 0 come with a later epoch. */
export function configuredSet({ validators, threshold }: Pick<Config, "validators" | "threshold">): QuorumSet {
  const members = validators.filter(({ weight }) => weight > 0);
  return {
    validators: members.map(({ address: account, weight }) => ({ account, weight: BigInt(weight) })),
    threshold: toThreshold(threshold),
  };
}

function firstSet(config: Config): SetFact {
  const set = configuredSet(config);
  assertQuorumSet(set);
  return { kind: "set", originChainId: 0, epoch: BigInt(config.epoch), set, previousValidUntil: 0n };
}

function toThreshold(threshold: RelayConfig["threshold"]): Threshold {
  switch (threshold.rule) {
    case "simpleMajority":
      return threshold;
    case "superMajority":
      return {
        rule: threshold.rule,
        numerator: BigInt(threshold.numerator),
        denominator: BigInt(threshold.denominator),
      };
    case "absoluteWeight":
      return { rule: threshold.rule, weight: BigInt(threshold.weight) };
  }
}

/** Names of those in the set that lost their weight. */
export function excludedNames({ set, byAddress }: ValidatorEpoch, { named }: Pick<ValidatorBook, "named">): string[] {
  const nameOf = (account: Hex) => named.find(({ address }) => address === account)?.name ?? account;
  return set.validators.filter(({ account }) => !byAddress(account)).map(({ account }) => nameOf(account));
}

/** The threshold in words. */
export function describeThreshold({ threshold, validators }: QuorumSet): string {
  const total = validators.reduce((sum, { weight }) => sum + weight, 0n);
  switch (threshold.rule) {
    case "simpleMajority":
      return `more than half of weight ${total}`;
    case "superMajority":
      return `more than ${threshold.numerator}/${threshold.denominator} of weight ${total}`;
    case "absoluteWeight":
      return `at least weight ${threshold.weight} of ${total}`;
  }
}
