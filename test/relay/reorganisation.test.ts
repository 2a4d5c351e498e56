import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { encodeFunctionData, type Hex, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { onDatabase } from "../support/databases.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  openHarness,
  openSites,
  otherKey,
  receivedAt,
  type Sites,
  sendDirectly,
  strangerKey,
  validatorNames,
  type WireMessage,
} from "./harness.ts";

/** Blocks on top of one before it is final. */
const depth = 6;

await onDatabase("a reorganisation before finality", (backend) => {
  let sites: Sites;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    h = await openHarness(backend, sites, { finalityBlocks: depth });
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  /** A stranger's message as signed bytes, so that the very same transaction can be included twice. */
  async function signedMessage(payload: Hex): Promise<Hex> {
    const account = privateKeyToAccount(strangerKey);
    const { nonce } = await h.chains.alpha.account(account.address);
    const to = { chainId: sites.beta.local.chainId, address: sites.beta.contracts.recorder };
    return account.signTransaction({
      ...{ chainId: sites.alpha.local.chainId, nonce, gas: 300_000n, to: sites.alpha.contracts.gateway },
      ...{ data: encodeSendMessage(to, payload), maxFeePerGas: 10n ** 11n, maxPriorityFeePerGas: 1n, type: "eip1559" },
    });
  }
  const broadcast = (raw: Hex) => sites.alpha.local.rpc("eth_sendRawTransaction", [raw]);
  const bySending = (hash: Hex) =>
    until(
      async () =>
        (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=20")).body.messages.find(({ timeline }) =>
          timeline.some(({ transactionHash }) => transactionHash === hash),
        ),
      "the message shows up",
    );
  const received = (payload: Hex) => receivedAt(h, sites, payload);
  async function inboundNonce(): Promise<bigint> {
    const data = encodeFunctionData({
      ...{ abi: gatewayAbi, functionName: "inboundHead", args: [BigInt(sites.alpha.local.chainId)] },
    });
    const answer = await h.chains.beta.call({ to: sites.beta.contracts.gateway, data });
    return BigInt(`0x${answer.slice(66, 130)}`);
  }

  it("delivers nothing of the abandoned branch, and takes the same transaction up again as the same message", async () => {
    const payload: Hex = "0xaaaa000000000000000000000000000000000001";
    const snapshot = await sites.alpha.local.snapshot();
    const raw = await signedMessage(payload);
    await broadcast(raw);
    const first = await bySending(keccak256(raw));
    assert.equal(first.status, "sent");
    assert.equal(first.reason.code, "awaiting-finality");

    await sites.alpha.local.revert(snapshot);
    await sites.alpha.local.mine(depth + 2);
    const dropped = await h.reaches(first.id, "dropped");
    assert.deepEqual([dropped.reason.code, dropped.onchainId], ["reorged-out", undefined]);
    await until(async () => h.indexers[0]?.status().final === (await sites.alpha.local.height()) - BigInt(depth));
    assert.equal(await inboundNonce(), 0n);

    // Another message takes its place in the lane first: it comes back with another nonce and on-chain id.
    await sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, "0xbbbb", otherKey);
    await broadcast(raw);
    const again = await h.reaches(first.id, "sent");
    assert.equal(again.nonce, "2");
    assert.notEqual(again.onchainId, first.onchainId);
    await sites.alpha.local.mine(depth);
    await h.reaches(first.id, "delivered");
    assert.equal(await received(payload), 1);
  });

  it("sends a message of its own again and delivers it once, as the same message", async () => {
    const payload: Hex = "0xaaaa000000000000000000000000000000000002";
    const snapshot = await sites.alpha.local.snapshot();
    const request = { origin: "alpha", destination: "beta", recipient: sites.beta.contracts.recorder, payload };
    const { body: asked } = await h.api<WireMessage>("POST", "/v1/messages", request);
    await h.reaches(asked.id, "sent");
    await sites.alpha.local.revert(snapshot);
    await sites.alpha.local.mine(1);
    await until(
      async () => (await h.message(asked.id)).timeline.filter(({ what }) => what === "MessageSent").length === 2,
      "it is sent a second time",
    );
    const timeline = (await h.message(asked.id)).timeline.map(({ what }) => what);
    assert.deepEqual(timeline, ["MessageSubmitted", "MessageSent", "MessageReorged", "MessageSent"]);
    await sites.alpha.local.mine(depth);
    await h.reaches(asked.id, "delivered");
    assert.equal(await received(payload), 1);
  });

  for (const gone of backend.name === "pglite" ? [1, 5] : [1, 2, 3, 4, 5]) {
    it(`delivers nothing of a branch of the origin that is abandoned after ${gone} blocks`, async () => {
      const payload: Hex = `0xcccc00000000000000000000000000000000000${gone}`;
      const nonceBefore = await inboundNonce();
      const snapshot = await sites.alpha.local.snapshot();
      const raw = await signedMessage(payload);
      await broadcast(raw);
      await sites.alpha.local.mine(gone - 1);
      const first = await bySending(keccak256(raw));
      await sites.alpha.local.revert(snapshot);
      await sites.alpha.local.mine(gone + depth);
      await h.reaches(first.id, "dropped");
      await until(async () => h.indexers[0]?.status().final === (await sites.alpha.local.height()) - BigInt(depth));
      assert.deepEqual([await inboundNonce(), await received(payload)], [nonceBefore, 0]);
    });

    it(`delivers once in the end when ${gone} blocks of the destination are replaced after inclusion`, async () => {
      const payload: Hex = `0xdddd00000000000000000000000000000000000${gone}`;
      const snapshot = await sites.beta.local.snapshot();
      await sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
      await sites.alpha.local.mine(depth);
      const message = await until(async () => {
        const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=1")).body;
        return messages.find((each) => each.payload === payload && each.status === "delivered");
      }, "it is delivered");
      await sites.beta.local.mine(gone - 1);
      await until(async () => h.indexers[1]?.status().indexed === (await sites.beta.local.height()));
      await sites.beta.local.revert(snapshot);
      await sites.beta.local.mine(1);
      const seen = (what: string) =>
        h.message(message.id).then(({ timeline }) => timeline.filter((entry) => entry.what === what).length);
      await until(async () => (await seen("MessageDelivered")) === 2, "it is delivered a second time");
      assert.equal(await seen("DeliveryReorged"), 1);
      await sites.beta.local.mine(depth + 1);
      await until(async () => (await h.message(message.id)).reason.code === "ended", "the delivery is final");
      assert.equal(await received(payload), 1);
    });
  }

  it("shows a delivery that was reorganised out as under way, and finishes it", async () => {
    const payload: Hex = "0xaaaa000000000000000000000000000000000003";
    const snapshot = await sites.beta.local.snapshot();
    const request = { origin: "alpha", destination: "beta", recipient: sites.beta.contracts.recorder, payload };
    const { body: asked } = await h.api<WireMessage>("POST", "/v1/messages", request);
    await h.reaches(asked.id, "sent");
    await sites.alpha.local.mine(depth);
    await h.reaches(asked.id, "delivered");
    await sites.beta.local.revert(snapshot);
    await sites.beta.local.mine(1);
    const delivered = () =>
      h.message(asked.id).then(({ timeline }) => timeline.filter(({ what }) => what === "MessageDelivered").length);
    await until(async () => (await delivered()) === 2, "it is delivered a second time");
    assert.ok((await h.message(asked.id)).timeline.some(({ what }) => what === "DeliveryReorged"));
    await sites.beta.local.mine(depth + 1);
    await until(async () => (await h.message(asked.id)).reason.code === "ended", "the delivery is final");
    assert.equal(await received(payload), 1);
  });
});
