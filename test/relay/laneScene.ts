import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeFunctionData, encodeFunctionResult, numberToHex, slice } from "viem";
import type { z } from "zod";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { relayConfigSchema } from "#core/config/relay.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { untraced } from "#core/observe/tracing.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayEvents, relayMigrations, relayProjections } from "#relay";
import type { KeptAttestation } from "#relay/attestationStore.ts";
import { createCheckpointAuthority } from "#relay/checkpointAuthority.ts";
import type { Collector } from "#relay/collect.ts";
import { createRecentContents } from "#relay/contents.ts";
import { createLaneDriver } from "#relay/driver.ts";
import type { DryRun, Revert } from "#relay/dryRun.ts";
import { createLanes } from "#relay/lane.ts";
import { troubles } from "#relay/laneState.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { createPolicy } from "#relay/policy.ts";
import { statusOf } from "#relay/progress.ts";
import { validatorSetHash } from "#relay/protocol/quorum.ts";
import { listRows } from "#relay/readModel.ts";
import { type DatabaseBackend, quietLog } from "../support/databases.ts";
import { block, laneOf, paidBlock, sendingBlock, sites } from "./gatewayLogs.ts";
import { addressOf, book, epoch } from "./samples.ts";

const payloads = (count: number): Hex[] => Array.from({ length: count }, () => "0x01");

/** A delivery that is tried without being sent: its nonces, and the ids behind it. */
export type Tried = { readonly first: bigint; readonly last: bigint; readonly later: number; readonly base?: bigint };

export type Rules = Partial<z.input<typeof relayConfigSchema>["policy"]> & {
  maxBatch?: number;
  /** Wei of the origin's coin that each message has paid, for a price that may be another now. */
  fee?: bigint;
};

const policyOf = (rules: object) => {
  const validators = [{ name: "one", address: addressOf(10), url: "http://127.0.0.1:1" }];
  const { policy } = relayConfigSchema.parse({ account: "relayer", validators, policy: rules });
  return createPolicy(policy, ["relayer", "operator"]);
};

/** A lane with so many final messages, and everything around its driver as a test wants it. */
export async function openScene(backend: DatabaseBackend, count: number, { maxBatch = 2, fee, ...rules }: Rules = {}) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  let now = 1_000_000;
  const clock: Clock = { now: () => now, sleep: async () => undefined };
  const store = createEventStore({
    ...{ db, log: quietLog, clock, schemas: relayEvents, projections: relayProjections },
  });
  const scene = {
    head: 0n,
    setHash: validatorSetHash(1, 1n, epoch.set),
    generation: 0,
    isPaused: false,
    /** Capacity, what of it is used, since when it drains, and seconds until it is empty again. */
    bucket: { capacity: 0n, used: 0n, usedAt: 0n, window: 0n },
    /** Which deliveries a dry-run refuses, and how. */
    dryRun: (_delivery: Tried): Revert | undefined => undefined,
    tried: [] as Tried[],
    deferred: new Set<Hex>(),
    retryable: new Set<Hex>(),
    /** What blocks before the latest had. */
    past: new Map<bigint, { generation: number; head: bigint }>(),
    gasPrice: 10n,
    hangs: false,
    words: [] as KeptAttestation[],
    /** The highest nonce that validators sign. */
    signed: 1_000n,
    intents: new Map<string, IntentStatus>(),
    submitted: [] as IntentRequest[],
  };
  const chain = {
    ...sites.beta.chain,
    storage: async (_address: Hex, _slot: Hex, at?: bigint): Promise<Hex> => {
      const { head, generation } = (at !== undefined && scene.past.get(at)) || scene;
      if (scene.hangs) throw new LockstepError("chain-unreachable", "it hangs", { details: { chain: "beta" } });
      const { capacity, used, usedAt, window } = scene.bucket;
      const flags = (BigInt(generation) << 64n) | (scene.isPaused ? 1n << 96n : 0n);
      const bucket = (used << 128n) | (usedAt << 160n) | (capacity << 200n) | (window << 232n);
      return numberToHex(head | flags | bucket, { size: 32 });
    },
    fees: async () => ({ maxFeePerGas: 2n * scene.gasPrice, maxPriorityFeePerGas: 0n }),
    call: async ({ data }: { data?: Hex }): Promise<Hex> => {
      const { functionName, args } = decodeFunctionData({ abi: gatewayAbi, data: data ?? "0x" });
      if (functionName === "isRetryable") {
        return encodeFunctionResult({ abi: gatewayAbi, functionName, result: scene.retryable.has(args[1]) });
      }
      if (functionName === "deferredAt") {
        const result = scene.deferred.has(args[0]) ? 1n : 0n;
        return encodeFunctionResult({ abi: gatewayAbi, functionName, result });
      }
      return encodeFunctionResult({
        abi: gatewayAbi,
        functionName: "epochInfo",
        result: [slice(scene.setHash, 0, 26), 2n ** 40n - 1n, 0n],
      });
    },
  };
  const sender: Sender = {
    submit: async (_tx, intents) => {
      for (const intent of intents) scene.intents.set(intent.id, { state: "queued" });
      scene.submitted.push(...intents);
    },
    find: async (_from, id) => scene.intents.get(id),
    findByTransactions: async () => new Map(),
  };
  const collect: Collector = async ({ to, places }) => {
    const first = places.keys().next().value ?? 0n;
    const nonce = to < scene.signed ? to : scene.signed;
    return nonce < first ? { fresh: [] } : { quorum: { nonce, signatures: [], epoch }, fresh: [] };
  };
  const dryRun: DryRun = {
    deliver: async (_lane, { call }, base) => {
      const { args } = decodeFunctionData({ abi: gatewayAbi, data: "data" in call ? call.data : "0x" });
      const [checkpoint, , , first, , laterIds] = args as unknown as [{ nonce: bigint }, 0, 0, bigint, 0, Hex[]];
      const last = checkpoint.nonce - BigInt(laterIds.length);
      const tried = { first, last, later: laterIds.length, ...(base && { base: base.nonce }) };
      scene.tried.push(tried);
      return scene.dryRun(tried);
    },
  };
  const origin = {
    ...sites.alpha.chain,
    call: async (): Promise<Hex> => {
      const result = { gasPrice: 1n, exchangeRate: 10n ** 18n, overhead: 0, validUntil: 2 ** 39 };
      return encodeFunctionResult({ abi: gatewayAbi, functionName: "priceOf", result });
    },
  };
  const chains = { alpha: { ...sites.alpha, chain: origin }, beta: { ...sites.beta, chain } };
  const lanes = createLanes({ chains: fixed(chains) });
  const lane = lanes.get({ origin: "alpha", destination: "beta" });
  const contents = createRecentContents();
  const driver = createLaneDriver({
    ...{ db, store, sender, lanes, book, clock, log: quietLog, account: "relayer", maxBatch, contents },
    ...{ policy: policyOf(rules), dryRun, random: () => 0.5, tracer: untraced },
    authorities: {
      checkpoint: createCheckpointAuthority({ db, attestations: { recent: () => scene.words }, collect, clock }),
      proof: () => assert.fail("no lane here is delivered by proof"),
    },
  });
  const observer = createRelayObserver({
    contents,
    store,
    sender,
    chains: fixed(sites),
    lanes,
    managed: new Set(),
    wake: () => undefined,
  });
  const samples = laneOf(payloads(count));
  const sending = fee === undefined ? sendingBlock(block(5n), samples) : paidBlock(block(5n), samples, fee);
  await db.tx((tx) => observer.included(tx, "alpha", [sending]));
  await db.tx((tx) => observer.finalized(tx, "alpha", 5n));
  return {
    ...{ scene, driver, lane, lanes, db, store, sender, clock, close: database.close, sent: laneOf(payloads(count)) },
    /** Looks until nothing more is to be done. */
    async drive() {
      while (await driver.step(lane));
    },
    pass: (ms: number) => {
      now += ms;
    },
    ids: () => scene.submitted.map(({ id }) => id.replace("lane-alpha→beta-", "")),
    statuses: async () => (await listRows(db, { limit: 100 })).map(({ progress }) => statusOf(progress)).toReversed(),
    trouble: async () => (await troubles(db)).get("alpha→beta"),
  };
}

export type Scene = Awaited<ReturnType<typeof openScene>>;

/** Defines cases on a database, each with a scene of its own. */
export const sceneCases =
  (backend: DatabaseBackend) =>
  (name: string, count: number, work: (o: Scene) => Promise<void>, rules: Rules = {}) =>
    it(name, async () => {
      const o = await openScene(backend, count, rules);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });
