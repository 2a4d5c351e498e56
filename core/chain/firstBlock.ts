import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Block } from "./chain.ts";
import { blockAt } from "./questions.ts";
import type { Rpc } from "./rpc.ts";

/**
 * The first block that more than half of a chain's endpoints show, asked of each by itself. Throws `chain-no-agreement`
 * when no block has so many.
 */
export async function firstBlockOfMost(chain: string, rpc: Pick<Rpc, "askAll">): Promise<Hex> {
  const asked = rpc.askAll(blockAt(0n));
  const answers = await Promise.allSettled(asked);
  const shown = answers.flatMap((answer) => (answer.status === "fulfilled" ? hashOf(answer.value) : []));
  const most = shown.find((hash) => shown.filter((each) => each === hash).length * 2 > asked.length);
  if (most !== undefined) return most;
  throw new LockstepError("chain-no-agreement", `the endpoints of ${chain} do not agree on its first block`, {
    details: { chain, method: "eth_getBlockByNumber" },
  });
}

const hashOf = (answer: { value: Block | undefined } | object): Hex[] =>
  "value" in answer && answer.value !== undefined ? [answer.value.hash] : [];
