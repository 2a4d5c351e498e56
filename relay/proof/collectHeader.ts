import { recoverTypedDataAddress } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import type { AskHeader } from "../ask.ts";
import { type LaneEnds, laneName } from "../lane.ts";
import { type Header, headerTypedData, type Oracle } from "../protocol/header.ts";
import { evaluateQuorum } from "../protocol/quorum.ts";
import type { ValidatorBook, ValidatorInfo } from "../validators.ts";

type HeaderSignature = { readonly signer: Hex; readonly signature: Hex };

type Collected = { readonly signatures: readonly HeaderSignature[] } | { readonly missing: readonly string[] };

/**
 * Asks all validators for their signature over a header, and resolves as soon as a quorum has given it, or with the names
 * of those who have not once all have answered. What a validator signs for another block of that number is no signature.
 */
export type HeaderCollector = (lane: LaneEnds, oracle: Oracle, header: Header) => Promise<Collected>;

export function createHeaderCollector(deps: { ask: AskHeader; book: ValidatorBook; log: Log }): HeaderCollector {
  const { ask, book, log } = deps;

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
      const signer = await recoverTypedDataAddress({
        ...headerTypedData(oracle, header),
        signature: answer.signature,
      });
      // What else the answer says does not matter: the signature is over what was asked.
      return signer === validator.address ? { signer, signature: answer.signature } : undefined;
    } catch (error) {
      log.debug({ err: error, validator: validator.name, lane: laneName(lane) }, "no signature over the header");
      return undefined;
    }
  }

  return (lane, oracle, header) => {
    const signatures: HeaderSignature[] = [];
    return new Promise((resolve) => {
      const asked = book.all.map(async (validator) => {
        const signature = await signatureOf(validator, lane, oracle, header);
        if (!signature) return;
        signatures.push(signature);
        const signers = signatures.map(({ signer }) => signer);
        if (evaluateQuorum(book.set, signers).reached) resolve({ signatures: [...signatures] });
      });
      Promise.all(asked).then(() => {
        const signed = new Set(signatures.map(({ signer }) => signer));
        resolve({ missing: book.all.filter(({ address }) => !signed.has(address)).map(({ name }) => name) });
      });
    });
  };
}
