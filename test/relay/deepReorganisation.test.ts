import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { encodeFunctionData } from "viem";
import { createDeployer } from "#app/network/deployer.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { onPostgres } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  messageOf,
  openHarness,
  openSites,
  otherKey,
  receivedAt,
  type Sites,
  sendDirectly,
  validatorNames,
  type WireMessage,
} from "./harness.ts";
import { createValidatorProcess, type ValidatorProcess } from "./validatorProcess.ts";

const refused = (error: unknown) => isLockstepError(error, "reindex-refused");

await onPostgres("a reorganisation deeper than finality", (backend) => {
  let sites: Sites;
  let h: Harness;
  let validators: ValidatorProcess[] = [];
  before(async () => {
    sites = await openSites();
    h = await openHarness(backend, sites, { finalityBlocks: 1, recheckMs: 30 });
    validators = validatorNames.map((name) => createValidatorProcess(h.validatorConfig(name), h.folder));
    await onValidators((validator) => validator.start());
  });
  after(async () => {
    await onValidators((validator) => validator.kill());
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const indexer = (chain: 0 | 1) => {
    const found = h.indexers[chain];
    assert.ok(found);
    return found;
  };
  const send = (payload: Hex, key?: Hex) =>
    sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload, key);
  const byPayload = (payload: Hex) => messageOf(h, payload);
  const received = (payload: Hex) => receivedAt(h, sites, payload);
  /** As operators run them: what they remember and how they are resumed is theirs. */
  const onValidators = (work: (validator: ValidatorProcess) => Promise<unknown>) => Promise.all(validators.map(work));
  async function deliver(payload: Hex, key?: Hex): Promise<WireMessage> {
    await send(payload, key);
    await sites.alpha.local.mine(1);
    const { id } = await byPayload(payload);
    await h.reaches(id, "delivered");
    await sites.beta.local.mine(1);
    return until(async () => {
      const message = await h.message(id);
      return message.reason.code === "ended" && message;
    }, "its delivery is final");
  }
  /** What governance does: the lane goes on behind the last of the messages, and they may still run. */
  async function realign(nonce: bigint, survivors: readonly WireMessage[]): Promise<void> {
    const [row] = await h.db.query<{ accumulator: Hex }>("SELECT accumulator FROM relay_messages WHERE id = $1", [
      survivors.at(-1)?.id,
    ]);
    const ids = survivors.map(({ onchainId }) => onchainId).filter((id) => id !== undefined);
    assert.ok(row && ids.length === survivors.length);
    const data = encodeFunctionData({
      ...{ abi: gatewayAbi, functionName: "realign" },
      args: [BigInt(sites.alpha.local.chainId), 0, nonce, row.accumulator, ids],
    });
    await createDeployer({ url: sites.beta.url, key: redact(localKey(0)) }).send(sites.beta.contracts.gateway, data);
  }
  /** Waits until the chain is halted, and reads it again from the fork that it names. */
  async function reindex(chain: 0 | 1): Promise<void> {
    await until(() => indexer(chain).status().state === "halted", "the indexer is halted");
    const { error, final } = indexer(chain).status();
    assert.equal(error?.code, "reorg-too-deep");
    const { fork: number, fork_hash: hash } = error.details as { fork: bigint; fork_hash: Hex };
    const other = `0x${"9".repeat(64)}` as const;
    await assert.rejects(indexer(chain).reindex({ number, hash: other }), refused);
    await assert.rejects(indexer(chain).reindex({ number: (final ?? 0n) + 1n, hash }), refused);
    await assert.rejects(indexer(chain).reindex({ number: number + 1n, hash }), refused);
    await indexer(chain).reindex({ number, hash });
    await assert.rejects(indexer(chain).reindex({ number, hash }), refused);
    const local = chain === 0 ? sites.alpha.local : sites.beta.local;
    await until(async () => indexer(chain).status().indexed === (await local.height()), "the chain is read again");
  }

  it("of the destination: what was delivered in vain is delivered again", async () => {
    await deliver("0xa001");
    const snapshot = await sites.beta.local.snapshot();
    const { id } = await deliver("0xa002");
    await sites.beta.local.revert(snapshot);
    await sites.beta.local.mine(5);
    await reindex(1);
    // The sender is done with the nonce whose transaction vanished, so an operator uses it up.
    await createDeployer({ url: sites.beta.url, key: redact(localKey(1)) }).send(h.keyStore.address("relayer"), "0x");
    await h.reaches(id, "delivered");
    const what = (await h.message(id)).timeline.map((entry) => entry.what);
    assert.equal(what.filter((each) => each === "MessageDelivered").length, 2);
    assert.ok(what.includes("DeliveryReorged"));
    assert.deepEqual([await received("0xa001"), await received("0xa002")], [1, 1]);
  });

  it("of the origin: validators stop for good, nothing runs twice, and all goes on once the lane is realigned", async () => {
    const snapshot = await sites.alpha.local.snapshot();
    const old = await deliver("0xa003");
    await sites.alpha.local.revert(snapshot);
    await sites.alpha.local.mine(5);
    await onValidators((validator) => validator.reaches("halted"));
    await reindex(0);
    assert.equal((await h.message(old.id)).status, "delivered");
    // The new branch has another message in its place, and further ones; its destination is past the first.
    const survivors = [];
    for (const payload of ["0xb003", "0xb004"] as const) {
      await send(payload, otherKey);
      await sites.alpha.local.mine(1);
      survivors.push(await h.reaches((await byPayload(payload)).id, "final"));
    }
    assert.deepEqual(
      survivors.map(({ nonce }) => nonce),
      ["3", "4"],
    );
    const laneReason = async () => {
      const { lanes } = (await h.api<{ lanes: { lane: string; reason?: { code: string } }[] }>("GET", "/v1/lanes"))
        .body;
      return lanes.find(({ lane }) => lane === "alpha→beta")?.reason?.code;
    };
    // A quiet destination is not compared again.
    await sites.beta.local.mine(1);
    await until(async () => (await laneReason()) === "lane-diverged", "the lane is said to have diverged");
    assert.equal((await h.message(survivors[0]?.id ?? "")).reason.code, "lane-diverged");
    assert.match((await h.relay.concerns()).join(), /^lane-diverged: alpha→beta: .*governance/);
    // Without governance there is nothing that resuming could change, and nothing moves.
    await onValidators(async (validator) => {
      await validator.stop();
      await validator.start("--resume");
      await validator.reaches("halted");
      await validator.stop();
    });
    await realign(4n, survivors);
    for (const { id } of survivors) assert.equal((await h.reaches(id, "failed")).reason.code, "lane-realigned");
    await onValidators((validator) => validator.start("--resume"));
    await deliver("0xb005", otherKey);
    for (const { id } of survivors) {
      assert.equal((await h.api("POST", `/v1/messages/${id}/retry`, {})).status, 202);
      await h.reaches(id, "delivered");
    }
    await onValidators((validator) => validator.reaches("following"));
    for (const payload of ["0xa001", "0xa002", "0xa003", "0xb003", "0xb004", "0xb005"] as const) {
      assert.equal(await received(payload), 1, payload);
    }
    for (const each of h.indexers) {
      await until(() => each.status().verified === each.status().final, "all agrees with the gateways");
      assert.equal(each.status().error, undefined);
    }
  });
});
