import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { indexedAccumulator, keptAccumulator, matchingAttestations, saveAttestations } from "./attestationStore.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { recoverCheckpointSigner } from "./protocol/checkpoint.ts";
import type { Attestation } from "./quorum.ts";
import type { WireAttestation } from "./schemas.ts";
import type { ValidatorBook, ValidatorInfo } from "./validators.ts";

/** What validators say, checked before any of it is kept or counted. */
export type Attestations = {
  /**
   * Takes one in. Throws `attestation-refused` (unknown lane, epoch or validator, or a signature that is not its own)
   * or `attestation-disagrees` (another accumulator than the lane's events, or than its own earlier word).
   */
  receive(attestation: WireAttestation): Promise<LaneEnds>;
  /** Those that agree with the lane's events, at or above a nonce. */
  matching(lane: LaneEnds, generation: number, fromNonce: bigint): Promise<Attestation[]>;
};

type Deps = { db: Db; lanes: Lanes; book: ValidatorBook; clock: Clock; log: Log };

export function createAttestations({ db, lanes, book, clock, log }: Deps): Attestations {
  /** Signatures being checked: a validator that pushes what it was just asked for costs one recovery. */
  const checking = new Map<string, Promise<void>>();

  function senderOf(attestation: WireAttestation): { lane: LaneEnds; validator: ValidatorInfo } {
    const lane = lanes.byChainIds(attestation.originChainId, attestation.destinationChainId);
    if (
      !lane ||
      lane.from.gateway !== attestation.originGateway ||
      lane.to.gateway !== attestation.destinationGateway
    ) {
      throw refused("it is about a lane that is not served here", attestation);
    }
    if (attestation.epoch !== book.epoch) throw refused(`the validators' epoch here is ${book.epoch}`, attestation);
    const validator = book.byAddress(attestation.signer);
    if (!validator) throw refused("its signer is no validator of this epoch", attestation);
    return { lane, validator };
  }

  async function assertSigned(attestation: WireAttestation): Promise<void> {
    const { destinationChainId: chainId, destinationGateway: gateway, signer, signature, ...checkpoint } = attestation;
    const recovered = await recoverCheckpointSigner({ chainId, gateway }, checkpoint, signature).catch(() => undefined);
    if (recovered !== signer) throw refused("its signature is not its signer's", attestation);
  }

  /** True when the same word is already kept. */
  async function assertAgrees(
    attestation: WireAttestation,
    lane: LaneEnds,
    validator: ValidatorInfo,
  ): Promise<boolean> {
    const [kept, indexed] = await Promise.all([
      keptAccumulator(db, lane, attestation, validator.address, attestation.nonce),
      indexedAccumulator(db, lane, attestation.nonce),
    ]);
    const expected = indexed ?? kept;
    if (expected === undefined || expected === attestation.accumulator) return kept === attestation.accumulator;
    // Only a signed contradiction is worth an alarm; anyone can claim to be a validator.
    await assertSigned(attestation);
    const { nonce, accumulator } = attestation;
    const fields = { validator: validator.name, lane: laneName(lane), nonce, signed: accumulator, expected };
    log.error(fields, indexed === undefined ? "validator signed twice" : "validator disagrees with the lane");
    throw new LockstepError(
      "attestation-disagrees",
      `${validator.name} signed ${accumulator} for ${laneName(lane)} at ${nonce}, expected ${expected}`,
      { details: { validator: validator.name, lane: laneName(lane), nonce } },
    );
  }

  async function take(attestation: WireAttestation, lane: LaneEnds, validator: ValidatorInfo): Promise<void> {
    if (await assertAgrees(attestation, lane, validator)) return;
    await assertSigned(attestation);
    const { nonce, accumulator, signature } = attestation;
    const word = { validator: validator.address, nonce, accumulator, signature };
    await saveAttestations(db, lane, attestation, [word], new Date(clock.now()));
  }

  return {
    async receive(attestation) {
      const { lane, validator } = senderOf(attestation);
      const { generation, nonce, accumulator, signature } = attestation;
      const key = [laneName(lane), generation, validator.address, nonce, accumulator, signature].join();
      const running = checking.get(key) ?? take(attestation, lane, validator).finally(() => checking.delete(key));
      checking.set(key, running);
      await running;
      return lane;
    },
    matching: (lane, generation, fromNonce) =>
      matchingAttestations(db, lane, { generation, epoch: book.epoch }, fromNonce),
  };
}

function refused(why: string, { signer, nonce }: WireAttestation): LockstepError {
  return new LockstepError("attestation-refused", `the attestation is refused: ${why}`, { details: { signer, nonce } });
}
