import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { deriveKey } from "#core/kernel/seal.ts";
import { createQuoteIds } from "#swap/quotes/quoteIds.ts";
import { hexOf } from "#test/swap/samples.ts";

const sealingKey = redact(new Uint8Array(32).fill(7));
const key = deriveKey(sealingKey, "quotes");
const ids = createQuoteIds({ key });
const leg = { chain: "alpha", chainId: 1, contract: hexOf("1", 20), asset: { type: "native" }, amount: 5n } as const;
const terms = {
  ...{ expiresAt: 530n, account: "desk", address: hexOf("2", 20), fee: 3n },
  ...{ source: leg, target: { ...leg, chain: "beta", chainId: 2 } },
};

const isRefused = (id: string, by = ids) =>
  assert.throws(
    () => by.read(id),
    (error) => isLockstepError(error, "quote-invalid") && error.details.field === "quote",
    id,
  );

describe("the id of a quote", () => {
  it("says what was pinned, and no two are the same", () => {
    const id = ids.issue(terms);
    const { nonce, ...read } = ids.read(id);
    assert.deepEqual(read, { ...terms, version: 1 });
    assert.match(nonce, /^[0-9a-f]{32}$/);
    assert.notEqual(ids.issue(terms), id);
    assert.match(id, /^[A-Za-z0-9_-]+$/);
  });

  it("is refused with any bit of any byte changed, and with any byte left out or added", () => {
    const bytes = Buffer.from(ids.issue(terms), "base64url");
    for (let i = 0; i < bytes.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[i] = (changed[i] ?? 0) ^ (1 << bit);
        isRefused(changed.toString("base64url"));
      }
      isRefused(Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + 1)]).toString("base64url"));
    }
    isRefused(Buffer.concat([bytes, Buffer.from([0])]).toString("base64url"));
  });

  it("is refused in any other spelling of the same bytes", () => {
    const id = ids.issue(terms);
    for (const other of [`${id}=`, `${id} `, ` ${id}`, `${id.slice(0, 9)}\n${id.slice(9)}`, `${id}!`]) isRefused(other);
    for (let i = 0; i < id.length; i++) {
      for (const letter of "AQgw5-_+/") {
        if (letter !== id[i]) isRefused(id.slice(0, i) + letter + id.slice(i + 1));
      }
    }
  });

  it("is refused when another service made it, and when nobody did", () => {
    const other = createQuoteIds({ key: deriveKey(redact(new Uint8Array(32).fill(8)), "quotes") });
    isRefused(other.issue(terms));
    for (const made of ["", "A", "AAAA", "A".repeat(43), "A".repeat(400), "null", "…"]) isRefused(made);
  });

  it("is refused in a form that this version does not know, though it is signed", () => {
    const bytes = Buffer.from(ids.issue(terms), "base64url");
    const known = bytes.subarray(0, -32).toString();
    for (const body of ["null", "{", known.replace('"version":1', '"version":2'), known.replace("}", ',"more":1}')]) {
      const mac = createHmac("sha256", key.reveal()).update("lockstep quote\n").update(body).digest();
      isRefused(Buffer.concat([Buffer.from(body), mac]).toString("base64url"));
    }
  });

  it("is made under a key that is neither the sealing key nor that of another purpose", () => {
    assert.notDeepEqual(key.reveal(), sealingKey.reveal());
    assert.notDeepEqual(key.reveal(), deriveKey(sealingKey, "something").reveal());
    assert.deepEqual(key.reveal(), deriveKey(sealingKey, "quotes").reveal());
    assert.equal(JSON.stringify({ key }), '{"key":"[redacted]"}');
  });
});
