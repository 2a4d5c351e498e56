import type { Chain } from "../chain/chain.ts";
import type { SameChain } from "../chain/sameChain.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { KnownBlock } from "./reconcile.ts";
import type { IndexState } from "./tables.ts";

/**
 * The state with which a chain is read again from the fork on: nothing above it counts as recorded or final any more.
 * Throws `reindex-refused` unless the fork is a block that the chain has and that was recorded, or lies below all that is
 * still recorded: then it is the operator's word alone that the branches share it.
 */
export async function stateFrom(
  chain: Chain,
  from: IndexState | undefined,
  fork: KnownBlock,
  sameChain: SameChain,
): Promise<{ from: IndexState; to: IndexState }> {
  if (from === undefined) throw refused(chain, fork, "it is not halted here because of a reorganisation");
  await sameChain.assert(chain, from.genesis);
  const [lowest] = from.known;
  if (fork.number > from.final) throw refused(chain, fork, `block ${from.final} is the last that counted as final`);
  const recorded = from.known.find(({ number }) => number === fork.number);
  if (recorded !== undefined && recorded.hash !== fork.hash) {
    throw refused(chain, fork, `the block that was recorded there is ${recorded.hash}`);
  }
  if (recorded === undefined && lowest !== undefined && fork.number > lowest.number) {
    throw refused(chain, fork, "no block was recorded at this height; name one below that the chain still has");
  }
  const block = fork.number < 0n ? fork : await chain.block(fork.number);
  if (block?.hash !== fork.hash) throw refused(chain, fork, `the chain has ${block?.hash ?? "no block"} there`);
  const below = from.known.filter(({ number }) => number < fork.number);
  const known = [...below, recorded ?? { number: fork.number, hash: fork.hash, logs: [] }];
  const checked = from.checked < fork.number ? from.checked : fork.number;
  return { from, to: { ...from, final: fork.number, checked, known } };
}

function refused({ name: chain }: Chain, fork: KnownBlock, why: string): LockstepError {
  const words = `${chain} is not read again from block ${fork.number}, ${fork.hash}: ${why}`;
  return new LockstepError("reindex-refused", words, { details: { chain, fork: fork.number, fork_hash: fork.hash } });
}
