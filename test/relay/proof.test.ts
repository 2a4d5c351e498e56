import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { decodeFunctionData, type Hex } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import { openBackend } from "../support/databases.ts";
import { until } from "../support/until.ts";
import { type Harness, openHarness, openSites, type Sites, validatorNames, type WireMessage } from "./harness.ts";

describe("delivery by proof", () => {
  let sites: Sites;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    h = await openHarness(await openBackend(), sites, { byProof: true, maxBatch: 2 });
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const send = async (payload = "0x6869") => {
    const recipient = sites.beta.contracts.recorder;
    const body = { origin: "alpha", destination: "beta", recipient, payload };
    return (await h.api<WireMessage>("POST", "/v1/messages", body)).body;
  };
  /** The calls in transactions to a contract of beta, by name, with their arguments. */
  const callsTo = async (to: Hex, abi: typeof gatewayAbi | typeof stateOracleAbi) => {
    const { local } = sites.beta;
    const calls: { name: string; args: readonly unknown[] }[] = [];
    for (let n = 0n; n <= (await local.height()); n++) {
      const { transactions } = await local.rpc<{ transactions: { to: Hex | null; input: Hex }[] }>(
        "eth_getBlockByNumber",
        [`0x${n.toString(16)}`, true],
      );
      for (const { to: recipient, input } of transactions) {
        if (recipient?.toLowerCase() !== to.toLowerCase()) continue;
        const { functionName, args } = decodeFunctionData({ abi, data: input });
        calls.push({ name: functionName, args: args ?? [] });
      }
    }
    return calls;
  };
  const headers = async () =>
    (await callsTo(sites.beta.contracts.stateOracle, stateOracleAbi)).filter(({ name }) => name === "attestHeader");
  const deliveries = async () =>
    (await callsTo(sites.beta.contracts.gateway, gatewayAbi)).filter(({ name }) => name.startsWith("deliver"));

  it("waits for a quorum over the origin's header, and names who has not signed", async () => {
    await h.startValidator("one");
    const { id } = await send();
    await until(async () => {
      const { reason } = await h.message(id);
      return reason.code === "awaiting-quorum" && reason.nextAttemptAt !== undefined;
    }, "the quorum is waited for");
    const { body } = await h.api<{ lanes: { reason?: { code: string; message: string } }[] }>("GET", "/v1/lanes");
    assert.match(body.lanes[0]?.reason?.message ?? "", /header of block \d+: two, three missing/);
    assert.deepEqual(await headers(), []);

    await h.startValidator("two");
    const done = await h.reaches(id, "delivered");
    assert.deepEqual(done.timeline.map(({ what }) => what).slice(0, 6), [
      ...["MessageSubmitted", "MessageSent", "MessageFinalized", "MessageAttested", "DeliveryStarted"],
      "MessageDelivered",
    ]);
    assert.equal((await headers()).length, 1);
    assert.deepEqual(
      (await deliveries()).map(({ name }) => name),
      ["deliverProven"],
    );
    await h.startValidator("three");
  });

  it("brings several batches under one header", async () => {
    const before = { headers: (await headers()).length, deliveries: (await deliveries()).length };
    for (const name of validatorNames) await h.stopValidator(name);
    const sent = await Promise.all(["0x01", "0x02", "0x03", "0x04", "0x05"].map((payload) => send(payload)));
    for (const { id } of sent) await h.reaches(id, "final");
    await Promise.all(validatorNames.map((name) => h.startValidator(name)));
    for (const { id } of sent) await h.reaches(id, "delivered");
    assert.equal((await headers()).length, before.headers + 1);
    const later = (await deliveries()).slice(before.deliveries);
    // Two messages each with the ids of those that follow, because the proof is of the lane's end.
    assert.deepEqual(
      later.map(({ name, args }) => [name, args[4], args[5], (args[7] as unknown[]).length]),
      [
        ["deliverProven", 2n, 2n, 3],
        ["deliverProven", 4n, 2n, 1],
        ["deliverProven", 6n, 1n, 0],
      ],
    );
  });

  it("is shown beside the lane, and goes with checkpoints the other way", async () => {
    const { body } = await h.api<{ lanes: { lane: string; delivery: string }[] }>("GET", "/v1/lanes");
    assert.deepEqual(
      body.lanes.map(({ lane, delivery }) => [lane, delivery]),
      [
        ["alpha→beta", "proof"],
        ["beta→alpha", "checkpoint"],
      ],
    );
  });
});
