import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { relayConfigSchema } from "#core/config/relay.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { expectedGas, isProfitable } from "#relay/economics.ts";
import { createPolicy } from "#relay/policy.ts";
import { addressOf } from "./samples.ts";

describe("what a batch has paid", () => {
  const offer = { paid: 1_000n, exchangeRate: 10n ** 18n, gas: 100n, gasPrice: 10n, minProfitPercent: 0 };

  it("covers its delivery or not, to the wei", () => {
    assert.equal(isProfitable(offer), true);
    assert.equal(isProfitable({ ...offer, paid: 999n }), false);
    assert.equal(isProfitable({ ...offer, minProfitPercent: 1 }), false);
    assert.equal(isProfitable({ ...offer, paid: 900n, minProfitPercent: -10 }), true);
  });

  it("is worth what the exchange rate says: half when the destination's coin is twice as dear", () => {
    const dear = { ...offer, exchangeRate: 2n * 10n ** 18n };
    assert.equal(isProfitable(dear), false);
    assert.equal(isProfitable({ ...dear, paid: 2_000n }), true);
  });

  it("is spread over the batch: two cost less than twice one", () => {
    const one = { gasLimit: 100_000n, payloadBytes: 32 };
    assert.ok(expectedGas([one, one]) < 2n * expectedGas([one]));
  });
});

describe("a policy", () => {
  const validators = [{ name: "one", address: addressOf(10), url: "http://127.0.0.1:1" }];
  const policyOf = (policy: object) =>
    createPolicy(relayConfigSchema.parse({ account: "relayer", validators, policy }).policy, ["relayer"]);
  const message = { sender: addressOf(1), recipient: addressOf(2) };

  it("denies nobody unless told", () => {
    assert.equal(policyOf({}).denial(message), undefined);
    assert.equal(policyOf({}).deniesMessages, false);
  });

  it("denies by sender and recipient, and everybody else where some are allowed", () => {
    assert.match(policyOf({ denySenders: [addressOf(1)] }).denial(message) ?? "", /sender .* denied/);
    assert.match(policyOf({ denyRecipients: [addressOf(2)] }).denial(message) ?? "", /recipient .* denied/);
    assert.equal(policyOf({ allowSenders: [addressOf(1)] }).denial(message), undefined);
    assert.match(policyOf({ allowSenders: [addressOf(3)] }).denial(message) ?? "", /not among those allowed/);
  });

  it("is refused when it names what is not configured", () => {
    const invalid = (error: unknown) => isLockstepError(error, "config-invalid");
    assert.throws(() => policyOf({ operatorAccount: "nobody" }), invalid);
  });
});
