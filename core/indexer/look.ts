import { zeroHash } from "viem";
import type { Block, Chain } from "../chain/chain.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type KnownBlock, type Reconciliation, reconcile } from "./reconcile.ts";
import type { IndexState } from "./tables.ts";

export type Look = {
  readonly head: Block;
  /** The chain's last final block; block −1 while it names none. */
  readonly final: KnownBlock;
  readonly blocks: ReadonlyMap<bigint, Block>;
  readonly outcome: Exclude<Reconciliation, { kind: "read" }>;
};

/** Reads as much of the chain as it takes to say how it relates to what is recorded. */
export async function lookAtChain(chain: Chain, state: IndexState): Promise<Look> {
  const [head, final] = await Promise.all([chain.block("latest"), chain.block("final")]);
  if (head === undefined) {
    throw new LockstepError("chain-answer-invalid", `${chain.name} has no latest block`, {
      details: { chain: chain.name },
    });
  }
  const blocks = new Map<bigint, Block>();
  const seen = { head, final: final ?? { number: -1n, hash: zeroHash }, blocks };
  for (;;) {
    const outcome = reconcile(state.known, state.final, { head, blocks });
    if (outcome.kind !== "read") return { ...seen, outcome };
    const block = await chain.block(outcome.number);
    // A node that does not have a block below its own head is behind itself.
    if (block === undefined) return { ...seen, outcome: { kind: "torn" } };
    blocks.set(block.number, block);
  }
}

/** The highest recorded block that the chain still has; undefined when it has none of them. */
export async function forkPoint(
  chain: Chain,
  { known }: Pick<IndexState, "known">,
  head: bigint,
): Promise<KnownBlock | undefined> {
  for (const { number, hash } of known.toReversed()) {
    if (number > head) continue;
    if (number < 0n || (await chain.block(number))?.hash === hash) return { number, hash };
  }
  return undefined;
}

/** Where indexing starts: right before the start block. Undefined while the chain is shorter. */
export async function genesisState(chain: Chain, startBlock: bigint): Promise<IndexState | undefined> {
  const genesis = await chain.genesis();
  const number = startBlock - 1n;
  const before = number < 0n ? { hash: zeroHash } : await chain.block(number);
  if (before === undefined) return undefined;
  return { genesis, final: number, checked: number, revision: 1n, known: [{ number, hash: before.hash, logs: [] }] };
}
