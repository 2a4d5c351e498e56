import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Hex } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { lockId } from "#swap/protocol/lockId.ts";
import { openChain, type TestChain } from "#test/contracts/chains.ts";
import * as byEthers from "#test/vectors/ethersLocks.ts";
import vectors from "#test/vectors/locks.json" with { type: "json" };

const hex = (text: string): Hex => `0x${text.slice(2)}`;

describe("lock vectors: contract, viem and ethers agree", () => {
  let chains: TestChain[] = [];
  before(async () => {
    chains = await Promise.all([openChain("alpha"), openChain("beta")]);
  });
  after(() => Promise.all(chains.map((chain) => chain.close())));

  for (const { name, expected, ...vector } of vectors.locks) {
    it(`id: ${name}`, async () => {
      const contract = hex(vector.contract);
      const terms = {
        sender: hex(vector.sender),
        recipient: hex(vector.recipient),
        token: hex(vector.token),
        amount: BigInt(vector.amount),
        hashlock: hex(vector.hashlock),
        timelock: BigInt(vector.timelock),
        tip: BigInt(vector.tip),
      };
      assert.equal(lockId(vector.chainId, contract, terms), expected.id);
      assert.equal(byEthers.lockId(vector), expected.id);
      const chain = chains.find(({ chainId }) => chainId === vector.chainId);
      assert.ok(chain);
      await chain.place("contracts/HashedTimelock.sol/HashedTimelock", contract);
      const read = { address: contract, abi: hashedTimelockAbi, functionName: "lockId", args: [terms] } as const;
      assert.equal(await chain.reader.readContract(read), expected.id);
    });
  }

  for (const { secret, hashlock } of vectors.secrets) {
    it(`hashlock of ${secret.slice(0, 10)}…`, () => {
      assert.equal(hashlockOf(hex(secret)), hashlock);
      assert.equal(byEthers.hashlockOf(secret), hashlock);
    });
  }

  it("a secret of another length has no hashlock", () => {
    for (const secret of [`0x${"11".repeat(31)}`, `0x${"11".repeat(33)}`, "0x"] as const) {
      assert.throws(() => hashlockOf(secret), /32 bytes/);
    }
  });
});
