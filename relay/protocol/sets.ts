import { decodeEventLog, getAddress, numberToHex, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type QuorumSet, type Threshold, validatorSetHash } from "./quorum.ts";

/** What a gateway says about the validators of an origin. */
export type SetFact = { readonly originChainId: number; readonly epoch: bigint } & (
  | { readonly kind: "set"; readonly set: QuorumSet; readonly previousValidUntil: bigint }
  | { readonly kind: "revoked" }
  | { readonly kind: "excluded"; readonly validator: Hex }
);

type Name = "ValidatorsSet" | "EpochRevoked" | "ValidatorExcluded";
type SetEvent = Extract<(typeof gatewayAbi)[number], { type: "event"; name: Name }>;

const names: readonly string[] = ["ValidatorsSet", "EpochRevoked", "ValidatorExcluded"] satisfies Name[];
const isOurs = (item: (typeof gatewayAbi)[number]): item is SetEvent =>
  item.type === "event" && names.includes(item.name);
const bySelector = new Map(gatewayAbi.filter(isOurs).map((item) => [toEventSelector(item), item]));

/** True for the logs that `decodeSetFact` understands. */
export const isSetFact = (topics: readonly Hex[]): boolean => bySelector.has(topics[0] ?? "0x");

/** Undefined for other logs, and for a set under a rule that is not known here or with another hash than its own. */
export function decodeSetFact({ topics, data }: { topics: readonly Hex[]; data: Hex }): SetFact | undefined {
  const [selector, ...rest] = topics;
  const item = selector && bySelector.get(selector);
  if (!item) return undefined;
  const { eventName, args } = decodeEventLog({ abi: [item], topics: [selector, ...rest], data });
  const originChainId = Number(args.originChainId);
  const { epoch } = args;
  switch (eventName) {
    case "EpochRevoked":
      return { kind: "revoked", originChainId, epoch };
    case "ValidatorExcluded":
      return { kind: "excluded", originChainId, epoch, validator: getAddress(args.validator) };
    case "ValidatorsSet": {
      const set = fromContractSet(args.set);
      if (!set || validatorSetHash(originChainId, epoch, set) !== args.setHash) return undefined;
      return { kind: "set", originChainId, epoch, set, previousValidUntil: args.previousValidUntil };
    }
  }
}

/** The set of the gateway's words; undefined under a rule that is not known here. */
function fromContractSet(given: { validators: readonly bigint[]; threshold: bigint }): QuorumSet | undefined {
  const threshold = thresholdOf(given.threshold);
  if (!threshold) return undefined;
  const validators = given.validators.map((word) => ({
    account: getAddress(numberToHex(word >> 96n, { size: 20 })),
    weight: word & ((1n << 96n) - 1n),
  }));
  return { validators, threshold };
}

function thresholdOf(word: bigint): Threshold | undefined {
  const mask = (1n << 120n) - 1n;
  const [value, outOf] = [(word >> 120n) & mask, word & mask];
  switch (word >> 240n) {
    case 0n:
      return { rule: "absoluteWeight", weight: value };
    case 1n:
      return { rule: "simpleMajority" };
    case 2n:
      return { rule: "superMajority", numerator: value, denominator: outOf };
    default:
      return undefined;
  }
}
