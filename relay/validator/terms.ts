import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createGatewayReader, type GatewayReader } from "../gateway.ts";
import type { AgreedChain } from "./agreement.ts";

/** Under which validator epoch and lane generation the destination takes signatures. */
export type Terms = { readonly epoch: bigint; readonly generation: number };

export type LaneTerms = {
  /** The newest valid epoch and the generation, at most `maxAgeMs` old. Undefined while no epoch is valid. */
  newest(): Promise<Terms | undefined>;
  /** The generation, read a moment ago. */
  generation(): Promise<number>;
  /** Throws `attestation-refused` unless the destination takes signatures under these terms. */
  assertValid(terms: Terms): Promise<void>;
};

type Kept = { readonly newest: bigint; readonly generation: number; readonly at: number };
type Validity = { readonly until: bigint; readonly at: number };

const maxAgeMs = 5_000;
/** Strangers can ask, so what is not as it is kept is read again, but not more often than once in this time. */
const minAgeMs = 1_000;
/** An epoch succeeded by this many others is asked for by nobody honest; so little has to be kept. */
const servedEpochs = 64n;
/** How far back a valid epoch is looked for when the newest is revoked. */
const lookBack = 8n;

/** What a destination's gateway says about the lane from one origin, kept for a while: it changes by governance only. */
export function createLaneTerms(deps: {
  destination: Pick<AgreedChain, "agree">;
  gateway: Hex;
  originChainId: number;
  clock: Clock;
}): LaneTerms {
  const { destination, gateway, originChainId, clock } = deps;
  let kept: Kept | undefined;
  const validities = new Map<bigint, Validity>();

  const ask = <T>(read: (reader: GatewayReader) => Promise<T>, spell: (value: T) => string) =>
    destination.agree((chain) => read(createGatewayReader({ chain, gateway })), spell);

  async function read(maxAge: number): Promise<Kept> {
    if (kept && clock.now() < kept.at + maxAge) return kept;
    const at = clock.now();
    const [newest, generation] = await Promise.all([
      ask((reader) => reader.newestEpoch(originChainId), String),
      ask(async (reader) => (await reader.inboundHead(originChainId)).generation, String),
    ]);
    kept = { newest, generation, at };
    for (const epoch of validities.keys()) if (epoch + servedEpochs <= newest) validities.delete(epoch);
    return kept;
  }

  async function isValid(epoch: bigint, maxAge: number): Promise<boolean> {
    let validity = validities.get(epoch);
    if (!validity || clock.now() >= validity.at + maxAge) {
      const at = clock.now();
      const until = await ask(async (reader) => (await reader.epochInfo(originChainId, epoch)).validUntil, String);
      validity = { until, at };
      validities.set(epoch, validity);
    }
    return validity.until > unixSeconds(clock);
  }

  async function matches({ epoch, generation }: Terms, maxAge: number): Promise<boolean> {
    const now = await read(maxAge);
    if (generation !== now.generation || epoch === 0n) return false;
    if (epoch > now.newest || epoch + servedEpochs <= now.newest) return false;
    return isValid(epoch, maxAge);
  }

  return {
    async newest() {
      const { newest, generation } = await read(maxAgeMs);
      for (let epoch = newest; epoch > 0n && epoch + lookBack > newest; epoch--) {
        if (await isValid(epoch, maxAgeMs)) return { epoch, generation };
      }
      return undefined;
    },
    generation: async () => (await read(minAgeMs)).generation,
    async assertValid(terms) {
      if ((await matches(terms, maxAgeMs)) || (await matches(terms, minAgeMs))) return;
      const message = `the destination takes no signatures for generation ${terms.generation} under epoch ${terms.epoch}`;
      throw new LockstepError("attestation-refused", message);
    },
  };
}
