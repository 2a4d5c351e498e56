import type { Scope, TrackingId } from "../observe/tracking.ts";
import { trackingFields } from "../observe/tracking.ts";
import type { AttemptSigner } from "./attempts.ts";
import type { IntentGuard } from "./sender.ts";

/** What an intent is worked for. */
export type TrackingOf = (intent: { readonly id: string; readonly subject: string }) => TrackingId;

/** What the log says of an intent. */
export const describeIntent =
  (trackingOf: TrackingOf) => (intent: { readonly id: string; readonly subject: string }) => ({
    intent: intent.id,
    ...trackingFields(trackingOf(intent)),
  });

/** Runs a part of an intent's sending as a span in the trace of what it is for. */
export type IntentScope = <T>(
  intent: { readonly id: string; readonly subject: string },
  name: string,
  work: () => Promise<T>,
) => Promise<T>;

/** Undefined without a scope: what is not traced is not wrapped either. */
export const intentScope = (scope: Scope | undefined, trackingOf: TrackingOf): IntentScope | undefined =>
  scope && ((intent, name, work) => scope(trackingOf(intent), name, work));

/** Building a call, which may open a secret, and signing it. */
export const tracedSigner = (signer: AttemptSigner, within: IntentScope | undefined): AttemptSigner =>
  within === undefined
    ? signer
    : {
        ...signer,
        call: (intent, nonce, fees) => within(intent, "transaction.sign", () => signer.call(intent, nonce, fees)),
      };

/** The last checks. */
export function tracedGuards(
  guards: Readonly<Record<string, IntentGuard>>,
  within: IntentScope | undefined,
): Readonly<Record<string, IntentGuard>> {
  if (within === undefined) return guards;
  return Object.fromEntries(
    Object.entries(guards).map(([kind, guard]): [string, IntentGuard] => [
      kind,
      (intent) => within(intent, "transaction.check", () => guard(intent)),
    ]),
  );
}
