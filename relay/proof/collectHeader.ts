import { hashTypedData } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { recoverSigner } from "#core/kernel/recover.ts";
import type { Log } from "#core/observe/log.ts";
import type { AskHeader } from "../ask.ts";
import { type LaneEnds, laneName } from "../lane.ts";
import type { MisbehaviourBook } from "../misbehaviour.ts";
import { type Header, headerTypedData, type Oracle } from "../protocol/header.ts";
import { evaluateQuorum } from "../protocol/quorum.ts";
import type { ValidatorEpoch, ValidatorInfo } from "../validators.ts";

type HeaderSignature = { readonly signer: Hex; readonly signature: Hex };

type Missing = { readonly missing: readonly string[] };
type Signatures = { readonly signatures: readonly HeaderSignature[] };

/**
 * Asks all validators for their signature over a header, and resolves as soon as a quorum has given it, or with the names
 * of those who have not once all have answered. What a validator signs for another block of that number is no signature.
 */
export type HeaderCollector = (
  lane: LaneEnds,
  oracle: Oracle,
  header: Omit<Header, "epoch">,
  /** Newest first: the next is asked where one has no quorum. The missing are those of the newest. */
  epochs: readonly ValidatorEpoch[],
) => Promise<({ readonly epoch: ValidatorEpoch } & Signatures) | Missing>;

export function createHeaderCollector(deps: {
  ask: AskHeader;
  misbehaviour: MisbehaviourBook;
  log: Log;
}): HeaderCollector {
  const { ask, misbehaviour, log } = deps;

  async function signatureOf(validator: ValidatorInfo, lane: LaneEnds, oracle: Oracle, header: Header) {
    const { originChainId, generation, epoch, number: height, blockHash } = header;
    try {
      const request = { originChainId, destinationChainId: oracle.chainId, generation, epoch, height };
      const answer = await ask(validator, request);
      if (answer.blockHash !== blockHash) {
        const place = { validator: validator.name, lane: laneName(lane), height };
        log.error({ ...place, signed: answer.blockHash, expected: blockHash }, "validator signs another block");
        return undefined;
      }
      const signer = recoverSigner(hashTypedData(headerTypedData(oracle, header)), answer.signature);
      // What else the answer says does not matter: the signature is over what was asked.
      return signer === validator.address ? { signer, signature: answer.signature } : undefined;
    } catch (error) {
      if (isLockstepError(error)) await misbehaviour.noteError(validator, error, lane);
      log.debug({ err: error, validator: validator.name, lane: laneName(lane) }, "no signature over the header");
      return undefined;
    }
  }

  function gather(lane: LaneEnds, oracle: Oracle, header: Header, { all, counting }: ValidatorEpoch) {
    const signatures: HeaderSignature[] = [];
    return new Promise<Signatures | Missing>((resolve) => {
      const asked = all.map(async (validator) => {
        const signature = await signatureOf(validator, lane, oracle, header);
        if (!signature) return;
        signatures.push(signature);
        const signers = signatures.map(({ signer }) => signer);
        if (evaluateQuorum(counting, signers).reached) resolve({ signatures: [...signatures] });
      });
      void Promise.all(asked).then(() => {
        const signed = new Set(signatures.map(({ signer }) => signer));
        resolve({ missing: all.filter(({ address }) => !signed.has(address)).map(({ name }) => name) });
      });
    });
  }

  return async (lane, oracle, header, epochs) => {
    let missing: readonly string[] | undefined;
    for (const epoch of epochs) {
      const found = await gather(lane, oracle, { ...header, epoch: epoch.epoch }, epoch);
      if ("signatures" in found) return { epoch, signatures: found.signatures };
      missing ??= found.missing;
    }
    return { missing: missing ?? [] };
  };
}
