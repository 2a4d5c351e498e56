import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { parseTransaction, recoverTransactionAddress, serializeTransaction } from "viem";
import { createKeyStore } from "#core/chain/keys.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { localKey } from "../../support/localChain.ts";

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
