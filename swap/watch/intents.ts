import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { gasOf } from "../intents.ts";
import { type AnyLock, assetTypeOf } from "../protocol/anyLock.ts";
import { encodeAnyClaim, encodeAnyRefund } from "../protocol/closing.ts";
import { type WatchStep, watchStream } from "./events.ts";
import type { WatchTimes } from "./nextStep.ts";
import type { Watch } from "./watch.ts";

/** What a step's transaction is made of. */
export type StepMaterial = {
  readonly lock: AnyLock;
  /** Ids of all entries of the batch that a leaf belongs to. */
  readonly leaves: readonly Hex[];
  /** Public by now: another lock was claimed with it. */
  readonly secret: Hex | undefined;
  readonly account: string;
};

/**
 * The intent of a step. Ids carry the attempt: a step is tried again only after its last intent has ended. All are tried
 * as calls first, since the secret is public and whoever else closes the lock first leaves nothing to pay gas for.
 */
export function watchIntent(
  watch: Watch,
  { step, attempt }: { readonly step: WatchStep; readonly attempt: number },
  material: StepMaterial,
  times: WatchTimes,
): IntentRequest {
  const stream = watchStream(watch.id);
  return {
    id: `${stream}-${step}-${attempt}`,
    chain: watch.chain,
    account: material.account,
    kind: `watch.${step}`,
    subject: stream,
    call: { to: watch.contract, data: calldata(step, material), value: 0n },
    gas: gasOf[step],
    dryRun: true,
    ...(step === "claim" && { notAfter: times.claimUntil }),
    ...(step === "claim" && watch.account !== undefined && { urgency: urgencyOf(material.lock) }),
  };
}

/** A claim of one's own is worth its lock until the timelock; in wei only where that is the chain's own coin. */
const urgencyOf = (lock: AnyLock): NonNullable<IntentRequest["urgency"]> => {
  const { timelock: by, amount: worth } = lock.terms;
  return assetTypeOf(lock) === "native" ? { by, worth } : { by };
};

function calldata(step: WatchStep, { lock, leaves, secret }: StepMaterial): Hex {
  if (step === "refund") return encodeAnyRefund(lock, leaves);
  if (!secret) throw new LockstepError("internal", "a watched lock is claimed only with a published secret");
  return encodeAnyClaim(lock, secret, leaves);
}
