import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { LegName } from "./events.ts";
import { lockIdOf } from "./legCalls.ts";
import { decodeIsLeafOpen, encodeOpenLeaves } from "./protocol/closing.ts";
import { batchId } from "./protocol/lockId.ts";
import { merkleRoot } from "./protocol/merkle.ts";
import { decodeIsOpen, encodeIsOpen } from "./protocol/timelock.ts";
import type { Swap } from "./swap.ts";

/** Whether the chain has a leg's lock open at a block. The lock id hashes every term, so it is a lock of exactly these. */
export async function isOpenAt(chain: Chain, { terms, hashlock }: Swap, leg: LegName, block: bigint): Promise<boolean> {
  const { timelockContract: to, chainId, lockId, batch } = terms[leg];
  const ask = async (data: Hex) => {
    const answer = await chain.call({ to, data }, block);
    if (answer !== "0x") return answer;
    throw new LockstepError("chain-answer-invalid", `there is no timelock at ${to} of ${chain.name} by block ${block}`);
  };
  if (!batch) return decodeIsOpen(await ask(encodeIsOpen(lockId)));
  // The root commits to this entry's own id, which hashes its terms.
  if (batch.leaves[batch.index] !== lockIdOf(terms[leg], hashlock)) return false;
  const data = encodeOpenLeaves(batchId(chainId, to, merkleRoot(batch.leaves)));
  return decodeIsLeafOpen(await ask(data), batch.index);
}
