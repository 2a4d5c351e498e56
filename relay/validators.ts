import type { RelayConfig } from "#core/config/relay.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { assertQuorumSet, type QuorumSet, type Threshold } from "./protocol/quorum.ts";

export type ValidatorInfo = {
  readonly name: string;
  readonly address: Hex;
  readonly weight: bigint;
  /** Where it is asked for signatures. */
  readonly url: string;
};

/** The configured validators and the set they make at the destinations. */
export type ValidatorBook = {
  readonly epoch: bigint;
  readonly set: QuorumSet;
  readonly all: readonly ValidatorInfo[];
  byAddress(address: Hex): ValidatorInfo | undefined;
};

/** Throws `config-invalid` for a set that no gateway would accept. */
export function createValidatorBook(config: Pick<RelayConfig, "validators" | "threshold" | "epoch">): ValidatorBook {
  const all = config.validators.map(({ weight, ...rest }): ValidatorInfo => ({ ...rest, weight: BigInt(weight) }));
  const set: QuorumSet = {
    validators: all.map(({ address: account, weight }) => ({ account, weight })),
    threshold: toThreshold(config.threshold),
  };
  assertQuorumSet(set);
  const byAddress = new Map(all.map((validator) => [validator.address, validator]));
  return { epoch: BigInt(config.epoch), set, all, byAddress: (address) => byAddress.get(address) };
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
