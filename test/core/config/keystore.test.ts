import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { openKeystore, sealKeystore } from "#core/config/keystore.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { localKey } from "../../support/localChain.ts";
import { encrypt } from "../chain/keystoreSample.ts";

/** The test vector of the Web3 Secret Storage definition, with PBKDF2. */
const published = {
  crypto: {
    cipher: "aes-128-ctr",
    cipherparams: { iv: "6087dab2f9fdbbfaddc31a909735c1e6" },
    ciphertext: "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
    kdf: "pbkdf2",
    kdfparams: {
      ...{ c: 262_144, dklen: 32, prf: "hmac-sha256" },
      salt: "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
    },
    mac: "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
  },
  id: "3198bc9c-6672-5ab3-d995-4942343ae5b6",
  version: 3,
};

describe("a keystore", () => {
  const key = localKey(3);
  const field = "accounts.alice";
  const invalid = (hidden: readonly string[]) => (error: unknown) =>
    isLockstepError(error, "config-invalid") &&
    error.details.field === field &&
    !hidden.some((text) => inspect(error, { depth: 9, showHidden: true }).includes(text));

  it("of another program opens", async () => {
    const opened = await openKeystore(redact(JSON.stringify(published)), redact("testpassword"), field);
    assert.equal(opened.reveal(), "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d");
  });

  it("opens as it was made", async () => {
    const json = await sealKeystore(redact(key), redact("pässword one"));
    assert.equal(json.includes(key.slice(2, 20)), false);
    assert.equal((await openKeystore(redact(json), redact("pässword one"), field)).reveal(), key);
  });

  it("tells nothing of itself when the password is wrong or a byte was changed", async () => {
    const json = await encrypt(key, "right horse");
    const { Crypto } = JSON.parse(json) as { Crypto: { ciphertext: string; mac: string } };
    const hidden = ["wrong horse", "right horse", key.slice(4, 30), Crypto.ciphertext, Crypto.mac];
    await assert.rejects(openKeystore(redact(json), redact("wrong horse"), field), invalid(hidden));
    const damaged = json.replace(
      Crypto.ciphertext,
      Crypto.ciphertext.replace(/^./, (c) => (c === "0" ? "1" : "0")),
    );
    await assert.rejects(openKeystore(redact(damaged), redact("right horse"), field), invalid(hidden));
  });

  it("is refused before it costs gigabytes or hours", async () => {
    const costs = [
      { ...published.crypto.kdfparams, c: 2 ** 31 },
      { ...published.crypto.kdfparams, n: 2 ** 26, r: 8, p: 1 },
      { ...published.crypto.kdfparams, n: 2, r: 1, p: 2 ** 20 },
      {},
    ];
    for (const { c, ...kdfparams } of costs as Record<string, unknown>[]) {
      const params = "n" in kdfparams ? kdfparams : { ...kdfparams, c };
      const json = JSON.stringify({ ...published, crypto: { ...published.crypto, kdfparams: params } });
      await assert.rejects(openKeystore(redact(json), redact("testpassword"), field), invalid([]));
    }
    for (const json of ["", "{}", "[]", '{"version":1}', "null"]) {
      await assert.rejects(openKeystore(redact(json), redact("testpassword"), field), invalid([]));
    }
  });
});
