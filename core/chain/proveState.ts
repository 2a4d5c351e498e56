import { numberToHex } from "viem";
import { z } from "zod";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import { type BlockHeader, readBlockHeader } from "./blockHeader.ts";
import type { Block, ProveState } from "./chain.ts";
import type { Rpc } from "./rpc.ts";
import { verifyState } from "./verifyState.ts";

type Deps = {
  /** Name of the chain, for errors. */
  readonly chain: string;
  readonly rpc: Pick<Rpc, "read">;
  /** The blocks whose hashes are trusted, as `Chain` has it. */
  block(at: bigint | "final"): Promise<Block | undefined>;
};

/** Proofs of a chain's state by `eth_getProof`, down from the hash of a final block. */
export function createStateProver({ chain, rpc, block }: Deps): ProveState {
  async function trusted(at: "final" | bigint): Promise<Block> {
    const final = await block("final");
    if (final === undefined || (at !== "final" && at > final.number)) {
      const newest = final === undefined ? "no block is" : `the newest final one is ${final.number}`;
      throw new LockstepError("block-not-final", `block ${at} of ${chain} is not final: ${newest}`, {
        details: { field: "block", chain },
      });
    }
    if (at === "final" || at === final.number) return final;
    const found = await block(at);
    if (found) return found;
    throw new LockstepError("chain-answer-invalid", `${chain} has no block ${at} below its final one`, {
      details: { chain, block: at },
    });
  }

  return async (question, at) => {
    const { hash } = await trusted(at);
    const header = await rpc.read({
      method: "eth_getBlockByHash",
      params: [hash, false],
      schema: checked((answer) => headerOf(answer, hash)),
    });
    const state = await rpc.read({
      method: "eth_getProof",
      params: [question.address, question.slots, numberToHex(header.number)],
      schema: checked((answer) => verifyState(header, question, answer)),
    });
    return { ...state, header };
  };
}

function headerOf(answer: unknown, expected: Hex): BlockHeader {
  const header = readBlockHeader(answer);
  if (header.hash === expected) return header;
  throw new LockstepError("chain-answer-invalid", "the node's answer is another block");
}

/** A check as a schema, so that an answer that fails it counts as the endpoint's and another one is asked. */
const checked = <T>(check: (answer: unknown) => T): z.ZodType<T> =>
  z.unknown().transform((answer, context) => {
    try {
      return check(answer);
    } catch (error) {
      if (!isLockstepError(error, "chain-answer-invalid")) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
