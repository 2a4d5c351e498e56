import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { viewChains } from "#app/chains.ts";
import type { ChainEntry } from "#app/registry/registry.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { gaugeBounds } from "#core/chain/metrics.ts";
import { createObservations } from "#core/chain/observations.ts";
import { chainConfigSchema } from "#core/config/chains.ts";
import { fixed } from "#core/kernel/live.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { boundsOf } from "#core/sender/bounds.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { createSwapChains } from "#swap/chains.ts";
import { createVirtualClock } from "../support/virtualClock.ts";

const gwei = 10n ** 9n;
const start = 1_800_000_000_000;
const address = `0x${"1".repeat(40)}`;

function world(more: object = {}) {
  const clock = createVirtualClock(start);
  const settings = chainConfigSchema.parse({
    ...{ chainId: 1, endpoints: ["http://127.0.0.1:1"], finality: { blocks: 0 }, gateway: address, timelock: address },
    ...{ blockSeconds: 1, inclusionSeconds: 10, skewSeconds: 4, ...more },
  });
  let head = BigInt(start / 1_000);
  const access = { name: "alpha", block: async () => ({ number: 1n, timestamp: head }) } as unknown as ChainAccess;
  const entry: ChainEntry = { name: "alpha", settings, source: "file", state: "active", revision: 0n, access };
  const observations = createObservations(clock);
  const views = viewChains(fixed({ alpha: entry }), { account: "carol" }, observations);
  const swaps = createSwapChains({ chains: views.swap, reactionSeconds: 1n, clock });
  return {
    ...{ observations, views, swaps, settings },
    setHead: (ahead: bigint) => {
      head = BigInt(start / 1_000) + ahead;
    },
  };
}

describe("the timing that swaps get of a chain", () => {
  it("is as configured, and more once the chain shows that it needs more", () => {
    const { observations, swaps } = world({ outageSeconds: 20 });
    const timing = () => swaps.timing("alpha", "alpha").source;
    assert.deepEqual(timing(), { finality: 0n, inclusion: 10n, outage: 20n, skew: 4n });
    observations.included("alpha", 29_000);
    observations.headArrived("alpha", 3_000);
    assert.deepEqual(timing(), { finality: 0n, inclusion: 10n, outage: 20n, skew: 4n });
    observations.included("alpha", 61_200);
    observations.headArrived("alpha", -6_001);
    assert.deepEqual(timing(), { finality: 0n, inclusion: 42n, outage: 20n, skew: 7n });
  });

  it("leaves the bound alone by which a chain that runs away is found out", async () => {
    const { observations, swaps, setHead } = world();
    for (const ahead of [5n, 7n, 300n]) {
      setHead(ahead);
      observations.headArrived("alpha", Number(ahead) * 1_000);
      await assert.rejects(swaps.progressTime("alpha", "alpha"), { code: "chain-time-off" });
    }
    assert.equal(swaps.timing("alpha", "alpha").source.skew, 8n);
    setHead(4n);
    assert.equal(await swaps.progressTime("alpha", "alpha"), BigInt(start / 1_000) + 4n);
    assert.equal(swaps.get("alpha").timing.skew, 4n, "what stalled finality is judged by");
  });

  it("is shown next to what is configured, in the metrics", async () => {
    const { observations, settings } = world();
    const metrics = createMetrics();
    gaugeBounds(metrics, () => [{ name: "alpha", configured: settings, observed: observations.of("alpha") }]);
    assert.doesNotMatch((await metrics.text()).body, /figure="observed"/);
    observations.included("alpha", 41_200);
    observations.headArrived("alpha", 8_900);
    const { body } = await metrics.text();
    for (const line of [
      'chain_inclusion_seconds{chain="alpha",figure="configured"} 10',
      'chain_inclusion_seconds{chain="alpha",figure="observed"} 41.2',
      'chain_skew_seconds{chain="alpha",figure="configured"} 4',
      'chain_skew_seconds{chain="alpha",figure="observed"} 8.9',
      'chain_time_off{chain="alpha"} 1',
    ]) {
      assert.ok(body.includes(`\nlockstep_${line}\n`), line);
    }
  });
});

describe("how a chain is sent to", () => {
  const by = BigInt(start / 1_000);
  const intent = (kind: string, worth?: bigint): IntentRequest => ({
    ...{ id: "i", chain: "alpha", account: "alice", kind, subject: "s", gas: 100_000n, dryRun: false },
    call: { to: "0x", data: "0x", value: 0n },
    urgency: { by, ...(worth !== undefined && { worth }) },
  });
  const boundsIn = ({ views }: ReturnType<typeof world>, asked: IntentRequest, leftSeconds: number) => {
    const settings = views.sender.get("alpha")?.settings;
    assert.ok(settings);
    const { ceiling, outbidsTo, patient } = boundsOf(
      asked,
      settings as Required<typeof settings>,
      start - leftSeconds * 1_000,
    );
    return [ceiling / gwei, outbidsTo / gwei, patient];
  };
  const claim = "swap.claim-source";
  const coin = 10n ** 18n;

  it("lets a claim pay all it is worth at its deadline, what others may pay before, and without a worth a fixed amount", () => {
    const plain = world();
    assert.deepEqual(boundsIn(plain, intent(claim, 5n * coin), 40), [500n, 0n, false]);
    assert.deepEqual(boundsIn(plain, intent(claim, 5n * coin), 10), [50_000n, 50_000n, false]);
    assert.deepEqual(boundsIn(plain, intent(claim), 10), [10_000n, 10_000n, false]);
    const cheap = world({ feeCeilings: { default: `${20n * gwei}` } });
    assert.deepEqual(boundsIn(cheap, intent(claim, 5n * coin), 40), [20n, 0n, false]);
    assert.deepEqual(boundsIn(cheap, intent(claim, 5n * coin), 10), [50_000n, 50_000n, false]);
  });

  it("never lets a claim pay more than an operator allows for its kind", () => {
    const bound = world({ feeCeilings: { [claim]: `${700n * gwei}`, default: `${20n * gwei}` } });
    assert.deepEqual(boundsIn(bound, intent(claim, 5n * coin), 40), [700n, 0n, false]);
    assert.deepEqual(boundsIn(bound, intent(claim, 5n * coin), 0), [700n, 700n, false]);
    assert.deepEqual(boundsIn(bound, intent(claim), 0), [700n, 700n, false]);
  });

  it("begins earlier on a chain that shows to be slow", () => {
    const slow = world();
    slow.observations.included("alpha", 30_000);
    assert.deepEqual(boundsIn(slow, intent(claim, 5n * coin), 30), [50_000n, 50_000n, false]);
  });

  it("knows no hurry for refunds, nor deadlines for what names none", () => {
    const { urgency: _, ...refund } = intent("swap.refund-target");
    assert.deepEqual(boundsIn(world(), refund, 0), [500n, 0n, true]);
    const { urgency: __, ...delivery } = intent("relay.deliver");
    assert.deepEqual(boundsIn(world(), delivery, 0), [500n, 0n, false]);
    const { urgency: ___, ...foreign } = intent(claim);
    assert.deepEqual(boundsIn(world(), foreign, 0), [10_000n, 10_000n, false]);
  });
});
