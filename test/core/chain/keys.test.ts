import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Wallet } from "ethers";
import { getAddress, keccak256, parseTransaction, recoverTransactionAddress, serializeTransaction } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { createKeyStore } from "#core/chain/keys.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { localKey } from "../../support/localChain.ts";

/** Half the order of secp256k1: the greatest s that chains accept (EIP-2). */
const halfOrder = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

describe("the key store", () => {
  const key = localKey(3);
  const keys = createKeyStore({ alice: redact(key) });

  it("signs what it is given as an EIP-1559 transaction of the named account", async () => {
    const { raw } = await keys.signTransaction("alice", {
      chainId: 5,
      nonce: 7,
      to: keys.address("alice"),
      gas: 21_000n,
      maxFeePerGas: 2n,
      maxPriorityFeePerGas: 1n,
    });
    const parsed = parseTransaction(raw);
    assert.equal(parsed.type, "eip1559");
    assert.equal(parsed.nonce, 7);
    const signer = await recoverTransactionAddress({
      serializedTransaction: serializeTransaction(parsed) as `0x02${string}`,
    });
    assert.equal(signer, keys.address("alice"));
  });

  it("gives the same bytes as viem and ethers, with the lower s, for random keys and transactions", async () => {
    const random = (bytes: number): Hex => `0x${randomBytes(bytes).toString("hex")}`;
    for (let round = 0; round < 200; round++) {
      const secret = random(32);
      const own = createKeyStore({ someone: redact(secret) });
      const call = {
        chainId: 1 + randomInt(2 ** 31),
        nonce: randomInt(2 ** 31),
        to: getAddress(random(20)),
        gas: BigInt(21_000 + randomInt(10_000_000)),
        maxFeePerGas: BigInt(random(5)),
        maxPriorityFeePerGas: 0n,
        value: BigInt(random(9)),
        data: random(randomInt(1, 200)),
      };
      const { raw, hash } = await own.signTransaction("someone", call);
      const byViem = await privateKeyToAccount(secret).signTransaction({ ...call, type: "eip1559" });
      const { gas: gasLimit, ...rest } = call;
      const byEthers = await new Wallet(secret).signTransaction({ ...rest, gasLimit, type: 2 });
      assert.deepEqual([raw, raw, hash], [byViem, byEthers, keccak256(raw)], `key ${secret}`);
      const { s = "0x" } = parseTransaction(raw);
      assert.ok(BigInt(s) <= halfOrder);
    }
  });

  it("does not know other accounts", () => {
    assert.throws(
      () => keys.address("bob"),
      (error) => isLockstepError(error, "account-unknown"),
    );
  });

  it("refuses a key that is none, without showing it", () => {
    const bad = `${key.slice(0, 60)}zz` as `0x${string}`;
    assert.throws(
      () => createKeyStore({ alice: redact(bad) }),
      (error) => isLockstepError(error, "config-invalid") && !inspect(error, { depth: 9 }).includes(bad.slice(4, 30)),
    );
  });

  it("refuses one key under two names", () => {
    assert.throws(
      () => createKeyStore({ alice: redact(key), bob: redact(key) }),
      (error) => isLockstepError(error, "config-invalid"),
    );
  });

  it("shows no key when printed", () => {
    assert.equal(inspect(keys, { depth: 9, showHidden: true }).includes(key.slice(2, 20)), false);
  });
});
