import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { numberToHex } from "viem";
import type { Block, Chain } from "#core/chain/chain.ts";
import { settle } from "#core/indexer/settle.ts";
import { createSpanReader } from "#core/indexer/spans.ts";
import type { IndexState } from "#core/indexer/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { quietLog } from "../../support/databases.ts";

const hashOf = (number: bigint, branch: number): Hex => numberToHex(number * 10n + BigInt(branch), { size: 32 });
const blockOf = (number: bigint, branch = 0): Block => ({
  ...{ number, hash: hashOf(number, branch), parentHash: hashOf(number - 1n, branch), timestamp: number },
});
const deaf = () => Promise.reject(new Error("never asked"));

/** What becomes of a state whose tip is block 100 and whose final one is 98. */
function settled(final: Block, found: Block | undefined) {
  const asked: unknown[] = [];
  const chain: Chain = {
    ...{ name: "alpha", chainId: 1, genesis: deaf, logs: deaf, receipt: deaf, call: deaf, account: deaf },
    ...{ fees: deaf, send: deaf },
    block: async (which) => {
      asked.push(which);
      return found;
    },
  };
  const known = [98n, 99n, 100n].map((number) => ({ ...blockOf(number), logs: [] }));
  const next: IndexState = { genesis: hashOf(0n, 0), final: 98n, checked: 98n, revision: 1n, known };
  const reader = createSpanReader({ chain, logWindow: 100, pauseMs: 1, clock: systemClock, log: quietLog });
  const answer = settle({ chain, reader, observers: [], log: quietLog, next, final, seen: 100n });
  return answer.then((settled) => ({ final: settled?.state.final, finalized: settled?.news.finalized, asked }));
}

describe("settling", () => {
  it("takes a tip below the final block for final only when the chain has it", async () => {
    const asked = [100n];
    assert.deepEqual(await settled(blockOf(105n), blockOf(100n)), { final: 100n, finalized: 100n, asked });
    assert.deepEqual(await settled(blockOf(105n, 1), blockOf(100n, 1)), {
      final: undefined,
      finalized: undefined,
      asked,
    });
    assert.deepEqual(await settled(blockOf(105n), undefined), { final: undefined, finalized: undefined, asked });
  });

  it("asks for nothing when the final block is one of the recorded", async () => {
    const deafTo = undefined;
    for (const number of [99n, 100n]) {
      assert.deepEqual(await settled(blockOf(number), deafTo), { final: number, finalized: number, asked: [] });
      assert.equal((await settled(blockOf(number, 1), deafTo)).final, undefined);
    }
    assert.deepEqual(await settled(blockOf(98n), deafTo), { final: 98n, finalized: undefined, asked: [] });
  });
});
