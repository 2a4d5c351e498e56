import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { checkpointTypedData } from "#relay/protocol/checkpoint.ts";
import { onDatabase } from "../support/databases.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  strangerKey,
  validatorKeys,
  type WireMessage,
} from "./harness.ts";
import { hashOf } from "./samples.ts";

await onDatabase("attestations", (backend) => {
  let sites: Sites;
  let h: Harness;
  let message: WireMessage;
  before(async () => {
    sites = await openSites();
    h = await openHarness(backend, sites, { reportEquivocation: false });
    const { transactionHash } = await sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, "0x01");
    message = await until(
      async () =>
        (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?status=final&origin=alpha")).body.messages.find(
          ({ timeline }) => timeline.some((entry) => entry.transactionHash === transactionHash),
        ),
      "the message is final",
    );
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const accumulatorAt = async (nonce: string | undefined): Promise<Hex> => {
    const [row] = await h.db.query<{ accumulator: Hex }>(
      "SELECT accumulator FROM relay_messages WHERE origin = 'alpha' AND nonce = $1",
      [nonce],
    );
    return row!.accumulator;
  };

  type Change = { accumulator?: Hex; epoch?: bigint; originChainId?: number; nonce?: bigint };
  /** An attestation as a validator would send it; `signed` is what it signs where that is something else. */
  async function attest(key: Hex, changes: Change = {}, signed: Change & { destinationChainId?: number } = {}) {
    const account = privateKeyToAccount(key);
    const { destinationChainId = sites.beta.local.chainId, ...rest } = signed;
    const checkpoint = {
      ...{ originChainId: sites.alpha.local.chainId, originGateway: h.gateways.alpha, generation: 0 },
      ...{ nonce: BigInt(message.nonce ?? 0), accumulator: await accumulatorAt(message.nonce), epoch: 1n },
      ...changes,
    };
    const destination = { chainId: destinationChainId, gateway: h.gateways.beta };
    const signature = await account.signTypedData(checkpointTypedData(destination, { ...checkpoint, ...rest }));
    return {
      ...{ ...checkpoint, nonce: checkpoint.nonce.toString(), epoch: checkpoint.epoch.toString() },
      ...{ destinationChainId: sites.beta.local.chainId, destinationGateway: h.gateways.beta },
      ...{ signer: account.address, signature },
    };
  }
  const push = async (attestation: unknown) => {
    const { status, body } = await h.api<{ code?: string }>("POST", "/v1/attestations", attestation);
    return body.code ?? status;
  };
  const kept = async () => (await h.db.query("SELECT 1 FROM relay_attestations")).length;

  it("refuses the other signature that anyone can make of one, which the gateway would read as somebody else's", async () => {
    const word = await attest(validatorKeys.one);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const [r, s, v] = [word.signature.slice(2, 66), word.signature.slice(66, 130), word.signature.slice(130)];
    const mirrored = (order - BigInt(`0x${s}`)).toString(16).padStart(64, "0");
    const signature = `0x${r}${mirrored}${v === "1b" ? "1c" : "1b"}`;
    const before = await kept();
    assert.equal(await push({ ...word, signature }), "attestation-refused");
    assert.equal(await push({ ...word, signature: `0x${r}${s}${v === "1b" ? "00" : "01"}` }), "attestation-refused");
    assert.equal(await push({ ...word, nonce: (2n ** 64n).toString() }), "request-invalid");
    assert.equal(await kept(), before);
  });

  it("refuses what does not come from a known validator for a known lane, and keeps none of it", async () => {
    const { one } = validatorKeys;
    const good = await attest(one);
    const refused = [
      ["a stranger's", await attest(strangerKey)],
      ["a stranger's under a validator's name", { ...(await attest(strangerKey)), signer: good.signer }],
      ["rubbish", { ...good, signature: `0x${"11".repeat(64)}1b` }],
      ["bytes that are no signature", { ...good, signature: `0x${"ff".repeat(65)}` }],
      ["another chain's digest", await attest(one, {}, { destinationChainId: 1 })],
      ["another nonce's signature", await attest(one, {}, { nonce: 7n })],
      ["another epoch", await attest(one, { epoch: 2n })],
      ["another lane", await attest(one, { originChainId: 5 })],
      ["another gateway", { ...good, originGateway: good.destinationGateway }],
    ] as const;
    for (const [what, attestation] of refused) assert.equal(await push(attestation), "attestation-refused", what);
    assert.equal(await push({ ...good, nonce: 1 }), "request-invalid");
    assert.equal(await push({ ...good, signature: "0x11" }), "request-invalid");
    assert.equal(await kept(), 0);
  });

  it("refuses another accumulator than the lane has, and never counts it", async () => {
    for (const key of Object.values(validatorKeys)) {
      assert.equal(await push(await attest(key, { accumulator: hashOf(1) })), "attestation-disagrees");
    }
    assert.equal(await kept(), 0);
    assert.equal((await h.message(message.id)).reason.quorum?.weight, "0");
  });

  it("takes one for a message that is not indexed yet, counts it only if it agrees, and not a second word", async () => {
    const early = BigInt(message.nonce ?? 0) + 1n;
    const { one, two, three } = validatorKeys;
    assert.equal(await push(await attest(one, { nonce: early, accumulator: hashOf(2) })), 202);
    assert.equal(await push(await attest(two, { nonce: early, accumulator: hashOf(2) })), 202);
    assert.equal(await push(await attest(one, { nonce: early, accumulator: hashOf(3) })), "attestation-disagrees");
    await sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, "0x02");
    const next = await until(
      async () =>
        (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?origin=alpha")).body.messages.find(
          ({ nonce, status }) => nonce === early.toString() && status === "final",
        ),
      "the next message is final",
    );
    assert.deepEqual(next.reason.quorum?.missing, ["one", "two", "three"]);
    // The word that agrees comes from the third alone: no quorum, whatever the other two claimed before.
    assert.equal(await push(await attest(three, { nonce: early, accumulator: await accumulatorAt(next.nonce) })), 202);
    assert.deepEqual((await h.message(next.id)).reason.quorum?.answered, ["three"]);
  });

  it("delivers as soon as two have said the same, without asking for anything else", async () => {
    const { one, two } = validatorKeys;
    assert.equal(await push(await attest(one)), 202);
    assert.equal(await push(await attest(one)), 202);
    assert.equal((await h.message(message.id)).status, "final");
    assert.equal(await push(await attest(two)), 202);
    await h.reaches(message.id, "delivered");
  });
});
