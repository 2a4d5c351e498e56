import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { GatewayReader } from "../gateway.ts";

/** Under which validator epoch and lane generation the destination takes signatures now. */
export type Terms = { readonly epoch: bigint; readonly generation: number };

export type LaneTerms = {
  /** The newest epoch and the generation, at most `maxAgeMs` old. Undefined while the destination knows no validators. */
  newest(): Promise<Terms | undefined>;
  /** Throws `attestation-refused` unless the destination takes signatures under these terms. */
  assertValid(terms: Terms): Promise<void>;
};

const maxAgeMs = 5_000;

/** What a destination's gateway says about the lane from one origin, kept for a while: it changes by governance only. */
export function createLaneTerms(deps: { reader: GatewayReader; originChainId: number; clock: Clock }): LaneTerms {
  const { reader, originChainId, clock } = deps;
  let kept: { readonly terms: Terms; readonly at: number } | undefined;
  /** Older epochs whose overlap was still running when they were looked at, until when (Unix seconds). */
  const older = new Map<bigint, bigint>();

  async function read(maxAge: number): Promise<Terms> {
    if (kept && clock.now() < kept.at + maxAge) return kept.terms;
    const [epoch, head] = await Promise.all([reader.newestEpoch(originChainId), reader.inboundHead(originChainId)]);
    kept = { terms: { epoch, generation: head.generation }, at: clock.now() };
    return kept.terms;
  }

  async function isOverlapping(epoch: bigint): Promise<boolean> {
    const known = older.get(epoch);
    const validUntil = known ?? (await reader.epochInfo(originChainId, epoch)).validUntil;
    older.set(epoch, validUntil);
    return validUntil > unixSeconds(clock);
  }

  const matches = async (terms: Terms, newest: Terms) =>
    terms.generation === newest.generation && (terms.epoch === newest.epoch || (await isOverlapping(terms.epoch)));

  return {
    async newest() {
      const terms = await read(maxAgeMs);
      return terms.epoch > 0n ? terms : undefined;
    },
    async assertValid(terms) {
      if (await matches(terms, await read(maxAgeMs))) return;
      older.delete(terms.epoch);
      // It may have changed a moment ago; strangers can ask, so not more often than once a second.
      if (await matches(terms, await read(1_000))) return;
      const message = `the destination takes no signatures for generation ${terms.generation} under epoch ${terms.epoch}`;
      throw new LockstepError("attestation-refused", message);
    },
  };
}
