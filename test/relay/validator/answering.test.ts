import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createAnswers } from "#relay/validator/answering.ts";
import type { HeaderSigner } from "#relay/validator/headerSigner.ts";
import type { Origin } from "#relay/validator/origins.ts";
import type { CheckpointSigner } from "#relay/validator/signer.ts";
import type { SigningStore } from "#relay/validator/signingStore.ts";
import type { Terms } from "#relay/validator/terms.ts";
import { addressOf, hashOf } from "../samples.ts";

describe("answers of a validator", () => {
  let happened: string[];
  let agreed: boolean;
  let newest: Terms;
  beforeEach(() => {
    happened = [];
    agreed = true;
    newest = { epoch: 1n, generation: 0 };
  });

  function open() {
    const lane = {
      route: { originChainId: 1, destinationChainId: 2 },
      oracle: addressOf(9),
      terms: { assertValid: async () => undefined, newest: async () => newest },
    };
    const look = async () => {
      happened.push("look");
      return agreed;
    };
    const origin = { lanes: [lane], follower: { look } } as unknown as Origin;
    const store = {
      head: () => ({ nonce: 5n, accumulator: hashOf(5) }),
      cursor: () => ({ height: 9n, hash: hashOf(9) }),
    } as unknown as SigningStore;
    const note = async (_lane: unknown, { epoch, generation }: Terms, place: bigint) => {
      happened.push(`sign ${place} in ${generation} under ${epoch}`);
      return { accumulator: hashOf(5) };
    };
    const checkpoints = { sign: note } as unknown as CheckpointSigner;
    const headers = { sign: note } as unknown as HeaderSigner;
    const answers = createAnswers({ origins: [origin], store, checkpoints, headers });
    const place = { originChainId: 1, destinationChainId: 2 };
    return {
      attest: (terms: Terms) => answers.attest({ ...place, ...terms, nonce: 3n }),
      attestHeader: (terms: Terms) => answers.attestHeader({ ...place, ...terms, height: 7n }),
      newest: () => answers.newest(origin, origin.lanes[0]!),
    };
  }

  it("sign nothing in a generation, nor after a start, before the lane was compared with its origin", async () => {
    const { attest, attestHeader } = open();
    await attest({ epoch: 1n, generation: 0 });
    await attestHeader({ epoch: 2n, generation: 0 });
    await attest({ epoch: 1n, generation: 1 });
    const expected = ["look", "sign 3 in 0 under 1", "sign 7 in 0 under 2", "look", "sign 3 in 1 under 1"];
    assert.deepEqual(happened, expected);
  });

  it("sign nothing then without a final block that the endpoints agree on", async () => {
    agreed = false;
    const { attest, attestHeader, newest } = open();
    for (const asked of [
      () => attest({ epoch: 1n, generation: 0 }),
      () => attestHeader({ epoch: 1n, generation: 0 }),
      newest,
    ]) {
      await assert.rejects(asked, (error) => isLockstepError(error, "checkpoint-unavailable"));
    }
    assert.ok(!happened.some((what) => what.startsWith("sign")));
  });

  it("give the newest checkpoint once, and again under every new epoch and generation", async () => {
    const { newest: next } = open();
    assert.ok(await next());
    assert.equal(await next(), undefined);
    newest = { epoch: 2n, generation: 0 };
    assert.ok(await next());
    newest = { epoch: 2n, generation: 1 };
    assert.ok(await next());
    assert.equal(await next(), undefined);
  });
});
