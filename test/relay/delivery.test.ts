import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, parseAbi } from "viem";
import { createDeployer } from "#app/network/deployer.ts";
import { redact } from "#core/kernel/redacted.ts";
import { onDatabase } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { until } from "../support/until.ts";
import {
  deployMock,
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  validatorNames,
  type WireMessage,
} from "./harness.ts";

let sites: Sites;
let rejecter: Hex;

const body = (recipient: string, payload = "0x6869") => ({
  ...{ origin: "alpha", destination: "beta", recipient, payload },
});

async function setAccepting(accepting: boolean): Promise<void> {
  const abi = parseAbi(["function setAccepting(bool accepting)"]);
  const data = encodeFunctionData({ abi, functionName: "setAccepting", args: [accepting] });
  await createDeployer({ url: sites.beta.url, key: redact(localKey(0)) }).send(rejecter, data);
}

await onDatabase("delivery", (backend) => {
  before(async () => {
    sites = await openSites();
    rejecter = await deployMock(sites.beta, "HostileRecipients.sol/RevertingRecipient");
  });
  after(() => Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]));

  describe("with few validators, which push to a process that does not deliver", () => {
    let h: Harness;
    before(async () => {
      h = await openHarness(backend, sites, { separateApi: true });
    });
    after(() => h?.close());
    const send = async () =>
      (await h.api<WireMessage>("POST", "/v1/messages", body(sites.beta.contracts.recorder))).body;

    it("waits with one of three and says for whom, goes on when a second one comes, and with all three", async () => {
      await h.startValidator("one");
      const first = await send();
      const waiting = await until(async () => {
        const found = await h.message(first.id);
        return found.reason.code === "awaiting-quorum" && found.reason.quorum?.answered.length === 1 && found;
      }, "the quorum is waited for");
      assert.equal(waiting.status, "final");
      assert.deepEqual(waiting.reason.quorum?.answered, ["one"]);
      assert.deepEqual(waiting.reason.quorum?.missing, ["two", "three"]);
      await until(async () => (await h.message(first.id)).reason.nextAttemptAt !== undefined, "a next attempt is set");

      await h.startValidator("two");
      await h.reaches(first.id, "delivered");
      const second = await send();
      await h.reaches(second.id, "delivered");

      await h.startValidator("three");
      await h.stopValidator("one");
      await h.reaches((await send()).id, "delivered");
      const { body: found } = await h.api<{
        validators: { name: string; reachable: boolean; attestations: unknown[] }[];
      }>("GET", "/v1/validators");
      assert.deepEqual(
        found.validators.map(({ name, reachable }) => [name, reachable]),
        [
          ["one", false],
          ["two", true],
          ["three", true],
        ],
      );
      assert.ok(found.validators.every(({ attestations }) => attestations.length > 0));
    });
  });

  describe("with three validators", () => {
    let h: Harness;
    before(async () => {
      h = await openHarness(backend, sites);
      await Promise.all(validatorNames.map((name) => h.startValidator(name)));
    });
    after(() => h?.close());

    it("brings a message from one chain to the other and shows its whole way", async () => {
      const recorder = sites.beta.contracts.recorder;
      const { status, body: asked } = await h.api<WireMessage>("POST", "/v1/messages", body(recorder));
      assert.equal(status, 202);
      assert.equal(asked.status, "submitted");
      assert.equal(asked.lane, "alpha→beta");
      const done = await h.reaches(asked.id, "delivered");
      assert.deepEqual(done.timeline.map(({ what }) => what).slice(0, 6), [
        ...["MessageSubmitted", "MessageSent", "MessageFinalized", "MessageAttested", "DeliveryStarted"],
        "MessageDelivered",
      ]);
      assert.equal((await h.message(String(done.onchainId).toUpperCase().replace("X", "x"))).id, asked.id);
      await until(async () => (await h.message(asked.id)).reason.code === "ended", "the delivery is final");
    });

    it("brings messages of strangers too, both ways at once, under ids of its own", async () => {
      const [there, back] = await Promise.all([
        sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, "0x01"),
        sendDirectly(sites.beta, sites.alpha, sites.alpha.contracts.recorder, "0x02"),
      ]);
      for (const receipt of [there, back]) {
        const found = await until(
          async () =>
            (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=5")).body.messages.find(
              ({ timeline, status }) =>
                status === "delivered" &&
                timeline.some(({ transactionHash }) => transactionHash === receipt.transactionHash),
            ),
          "the stranger's message is delivered",
        );
        assert.notEqual(found.id, found.onchainId);
      }
    });

    it("records a recipient's failure in words, retries when asked, and refuses to retry what has not failed", async () => {
      await setAccepting(false);
      const { body: asked } = await h.api<WireMessage>("POST", "/v1/messages", body(rejecter));
      const failed = await h.reaches(asked.id, "failed");
      assert.equal(failed.reason.code, "execution-failed");

      // Still refused: the dry-run says so, and the message can be retried again.
      assert.equal((await h.api("POST", `/v1/messages/${asked.id}/retry`, {})).status, 202);
      await until(
        async () => (await h.message(asked.id)).timeline.some(({ what }) => what === "RetryFailed"),
        "the retry fails",
      );
      assert.equal((await h.message(asked.id)).status, "failed");

      await setAccepting(true);
      assert.equal((await h.api("POST", `/v1/messages/${asked.id}/retry`, {})).status, 202);
      await h.reaches(asked.id, "delivered");
      const again = await h.api<{ code: string; retryable: boolean }>("POST", `/v1/messages/${asked.id}/retry`, {});
      assert.deepEqual([again.status, again.body.code, again.body.retryable], [409, "message-ended", false]);
      assert.equal((await h.api("POST", "/v1/messages/nothing/retry", {})).status, 404);
    });

    it("delivers fifty messages that wait in a few transactions, a failing one among them", async () => {
      await setAccepting(false);
      await Promise.all(validatorNames.map((name) => h.stopValidator(name)));
      const asked: string[] = [];
      for (let n = 0; n < 50; n++) {
        const recipient = n === 20 ? rejecter : sites.beta.contracts.recorder;
        const { body: view } = await h.api<WireMessage>("POST", "/v1/messages", body(recipient, `0x${"ab".repeat(n)}`));
        asked.push(view.id);
      }
      await h.reaches(asked.at(-1)!, "final");
      await Promise.all(validatorNames.map((name) => h.startValidator(name)));
      await h.reaches(asked.at(-1)!, "delivered");
      const done = await Promise.all(asked.map((id) => h.message(id)));
      assert.deepEqual(
        done.map(({ status }) => status),
        asked.map((_, n) => (n === 20 ? "failed" : "delivered")),
      );
      const transactions = new Set(done.map(({ timeline }) => deliveryOf(timeline)));
      assert.ok(transactions.size <= 3, `${transactions.size} transactions`);
      const { lanes } = (await h.api<{ lanes: Record<string, unknown>[] }>("GET", "/v1/lanes")).body;
      const lane = lanes.find(({ lane }) => lane === "alpha→beta");
      assert.ok(Number(lane?.seen) >= 50);
      const heads = [lane?.finalized, lane?.attested, lane?.delivered, lane?.backlog];
      assert.deepEqual(heads, [lane?.seen, lane?.seen, lane?.seen, 0]);
    });
  });
});

const deliveryOf = (timeline: WireMessage["timeline"]) =>
  timeline.find(({ what }) => what === "MessageDelivered" || what === "MessageFailed")?.transactionHash;
