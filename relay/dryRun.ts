import type { CallRequest } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { advancedWord, inboundSlots } from "./protocol/laneWord.ts";
import type { ReasonCode } from "./reasons.ts";

/** Where the lane will stand once deliveries that are on their way have arrived. */
export type Base = { readonly word: Hex; readonly nonce: bigint; readonly accumulator: Hex; readonly before: bigint };

export type Revert = {
  /** What the lane as a whole waits for; undefined when one of the messages may be at fault. */
  readonly lane?: ReasonCode;
  readonly detail: string;
};

/** Runs a delivery without sending it. */
export type DryRun = {
  /** On top of `base`, where deliveries are on their way. Undefined: it would succeed, or nobody can tell. */
  deliver(lane: LaneEnds, intent: IntentRequest, base?: Base): Promise<Revert | undefined>;
};

/** Errors of a gateway, and of its state oracle, that no other choice of messages would mend. */
const ofLane: Readonly<Record<string, ReasonCode>> = {
  LaneIsPaused: "destination-paused",
  LimitReached: "bucket-empty",
  NoQuorum: "awaiting-quorum",
  EpochNotValid: "validator-set-mismatch",
  WrongSet: "validator-set-mismatch",
  UnknownSigner: "validator-set-mismatch",
  UnknownOrigin: "dry-run-reverts",
  WrongGeneration: "dry-run-reverts",
  WrongAccumulator: "dry-run-reverts",
  NonceGap: "dry-run-reverts",
  // The header that a proof stands on counts no more, or not yet where the call ran: the next look finds out.
  UnknownHeader: "awaiting-header",
  EpochRevoked: "awaiting-header",
  NoStateOracle: "dry-run-reverts",
  TrieProofTraversalError: "dry-run-reverts",
  RLPInvalidEncoding: "dry-run-reverts",
  MalformedAccount: "dry-run-reverts",
  MalformedSlot: "dry-run-reverts",
};

export function createDryRun(deps: { from: Hex }): DryRun {
  /** Lanes whose endpoints do not take state overrides: there, what stands on other deliveries goes untried. */
  const plain = new Set<string>();

  return {
    async deliver(lane, intent, base) {
      if (!("to" in intent.call) || (base && plain.has(laneName(lane)))) return undefined;
      const { to, data } = intent.call;
      const request: CallRequest = { from: deps.from, to, data, gas: intent.gas, ...(base && overriding(lane, base)) };
      try {
        // Not `latest`: an idle local chain's time stands still there, and the bucket would not refill.
        await lane.to.chain.call(request, "pending");
        return undefined;
      } catch (error) {
        if (isLockstepError(error, "call-reverted")) {
          const code = ofLane[String(error.details.error)];
          return { detail: error.message, ...(code && { lane: code }) };
        }
        if (!base || !isLockstepError(error, "chain-request-refused")) throw error;
        plain.add(laneName(lane));
        return undefined;
      }
    },
  };
}

function overriding(
  { from, to }: LaneEnds,
  { word, nonce, accumulator, before }: Base,
): Pick<CallRequest, "overrides"> {
  const slots = inboundSlots(from.chain.chainId);
  const state = advancedWord(word, nonce, before);
  return { overrides: { [to.gateway]: { [slots.accumulator]: accumulator, [slots.state]: state } } };
}
