import assert from "node:assert/strict";
import { it } from "node:test";
import type { Answer, Question } from "#core/chain/endpoint.ts";
import { readPendingNonce } from "#core/chain/reads.ts";
import { LockstepError } from "#core/kernel/errors.ts";

const address = "0x0000000000000000000000000000000000000001";

/** A chain with endpoints that answer so; what is not a number fails, or is refused. */
function rpcOf(...nonces: readonly (number | "fails" | "refuses")[]) {
  const asked: string[] = [];
  return {
    asked,
    askAll: <T>({ method, params }: Question<T>) =>
      nonces.map(async (nonce) => {
        asked.push(`${method} ${params.join(" ")}`);
        if (nonce === "fails") throw new LockstepError("chain-unreachable", "no answer");
        if (nonce === "refuses") return { refused: { code: -1, message: "no" } } as Answer<T>;
        return { value: nonce } as Answer<T>;
      }),
    read: async <T>(): Promise<T> => {
      throw new LockstepError("chain-unreachable", "nobody answers");
    },
  };
}

it("a pending nonce is the highest that any endpoint knows of, whichever fail, and none where none answers", async () => {
  const rpc = rpcOf(3, "fails", 5, "refuses", 4);
  assert.equal(await readPendingNonce(rpc, address), 5);
  assert.deepEqual(new Set(rpc.asked), new Set([`eth_getTransactionCount ${address} pending`]));
  await assert.rejects(readPendingNonce(rpcOf("fails", "refuses"), address), { code: "chain-unreachable" });
});
