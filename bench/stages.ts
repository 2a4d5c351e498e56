import { numberToHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { z } from "zod";
import type { ChainLog } from "#core/chain/chain.ts";
import { createKeyStore } from "#core/chain/keys.ts";
import { wireLog } from "#core/chain/wire.ts";
import { migrate } from "#core/db/migrate.ts";
import { createDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";
import { relayMigrations, relayProjections } from "#relay";
import { createRecentContents } from "#relay/contents.ts";
import { createDeliveryWriter } from "#relay/delivery.ts";
import { createLanes, type RelayChain } from "#relay/lane.ts";
import { relayEvents } from "#relay/laneEvents.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { withPlace } from "#relay/openMessage.ts";
import { encodeDeliver } from "#relay/protocol/calls.ts";
import { checkpointTypedData, recoverCheckpointSigner } from "#relay/protocol/checkpoint.ts";
import { waitingRows } from "#relay/readModel.ts";
import { appendedInWindows, emptyHead, linksBehind } from "#relay/validator/links.ts";
import { openStage } from "#test/core/sender/stage.ts";
import { attemptLog, block, laneOf, sendingBlock, sites, transactionOf } from "#test/relay/gatewayLogs.ts";
import { epoch } from "#test/relay/samples.ts";
import { onServer, postgresServer } from "#test/support/databases.ts";
import { cpuTimes } from "./relay/processes.ts";

/**
 * CPU time of each stage on a message's way, in this process and in PostgreSQL, without chains and network: says which
 * stage to look at next. Milliseconds per message; CPU time does not depend on what else the machine does.
 */
const batch = 100;
const batches = Number(process.argv.find((each) => /^\d+$/.test(each)) ?? 40);
const database = `lockstep_bench_stages_${process.pid}`;
const log = createLog({ level: "error", name: "bench" });

type Cost = { process: number; database: number };
const costs = new Map<string, Cost>();

/** Adds what the work costs to its stage. */
async function staged<T>(stage: string, work: () => Promise<T> | T): Promise<T> {
  const before = cpuTimes(database).database ?? 0;
  // After that: to look at all processes takes longer than some stages.
  const own = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(own);
  const cost = costs.get(stage) ?? { process: 0, database: 0 };
  cost.process += (user + system) / 1000;
  cost.database += (cpuTimes(database).database ?? 0) - before;
  costs.set(stage, cost);
  return result;
}

await onServer(`CREATE DATABASE ${database}`);
const connectionString = new URL(database, postgresServer).href;
const db = createDb({ connectionString, log });
try {
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  await run();
  const count = batch * batches;
  const perMessage = [...costs].map(([stage, { process: own, database: its }]) => {
    const round = (ms: number) => Math.round((ms / count) * 10_000) / 10_000;
    return [stage, { process: round(own), database: round(its) }] as const;
  });
  if (process.argv.includes("--json")) console.log(JSON.stringify(Object.fromEntries(perMessage)));
  else {
    const words = "CPU ms a message";
    const rows = perMessage.map(([stage, { process: own, database: its }]) => {
      return [stage, { [`${words}: process`]: own, [`${words}: PostgreSQL`]: its }] as const;
    });
    console.table(Object.fromEntries(rows));
  }
} finally {
  await db.close();
  await onServer(`DROP DATABASE ${database} WITH (FORCE)`);
}

async function run(): Promise<void> {
  const store = createEventStore({ db, log, clock: systemClock, schemas: relayEvents, projections: relayProjections });
  const chains = fixed<RelayChain>(sites);
  const lanes = createLanes({ chains });
  const lane = lanes.get({ origin: "alpha", destination: "beta" });
  const contents = createRecentContents();
  const sender = {
    submit: async () => undefined,
    find: async () => undefined,
    findByTransactions: async () => new Map(),
  };
  const observer = createRelayObserver({
    ...{ contents, store, sender, chains, lanes, managed: new Set<never>(), wake: () => undefined },
  });
  const delivery = createDeliveryWriter({
    ...{ db, store, sender, log, account: "relayer", contents },
  });
  const secretKey = generatePrivateKey();
  const account = privateKeyToAccount(secretKey);
  const keys = createKeyStore({ relayer: redact(secretKey) });
  // Everything that the sender does but signing, on a chain in memory.
  const here = { db, another: () => db, connectionString, schema: "public", close: async () => undefined };
  const stage = await openStage({ name: "postgres", open: async () => here });
  const samples = laneOf(Array.from({ length: batch * batches }, (_, n) => numberToHex(n + 1, { size: 32 })));
  let seen = 0n;
  let link = emptyHead;
  for (let n = 0; n < batches; n++) {
    const own = samples.slice(n * batch, (n + 1) * batch);
    const [first, last] = [own[0], own.at(-1)];
    if (!first || !last) return;
    const height = BigInt(n + 5);
    const sent = sendingBlock(block(height), own, transactionOf(`send ${n}`));
    const text = JSON.stringify(sent.logs.map(onWire));
    await staged("read", () => z.array(wireLog).parse(JSON.parse(text)));
    await staged("index", () =>
      db.tx(async (tx) => {
        await observer.included(tx, "alpha", [sent]);
        await observer.finalized(tx, "alpha", height);
      }),
    );
    const origin = { ...sites.alpha.chain, logs: async () => [...sent.logs] };
    const range = { fromBlock: height, toBlock: height, window: 1n };
    link = await staged("attest: follow", async () => {
      let head = link;
      for await (const ids of appendedInWindows(origin, sites.alpha.gateway, range)) {
        head = linksBehind(head, ids)?.at(-1) ?? head;
      }
      return head;
    });
    const checkpoint = {
      ...{ originChainId: 1, originGateway: sites.alpha.gateway, generation: 0 },
      ...{ nonce: last.nonce, accumulator: last.accumulator, epoch: 1n },
    };
    const destination = { chainId: 2, gateway: sites.beta.gateway };
    const signature = await staged("attest: sign", () =>
      account.signTypedData(checkpointTypedData(destination, checkpoint)),
    );
    await staged("quorum", () => recoverCheckpointSigner(destination, checkpoint, signature));
    const signatures = epoch.all.map(({ address }) => ({ signer: address, signature }));
    const authority = {
      ...{ nonce: last.nonce, epoch: 1n, keep: async () => undefined },
      encode: (firstNonce: bigint, messages: Parameters<typeof encodeDeliver>[0]["messages"]) => ({
        data: encodeDeliver({ checkpoint, set: epoch.set, signatures, firstNonce, messages, laterIds: [] }),
        shape: { validators: 3, signatures: 3, laterIds: 0 },
      }),
    };
    const intent = await staged("plan", async () => {
      const rows = (await waitingRows(db, lane, seen, batch)).flatMap(withPlace);
      const brought = await delivery.contents(rows);
      const planned = { lane, generation: 0, batch: rows, contents: brought, authority };
      const made = delivery.intentOf(planned);
      await delivery.start({ ...planned, intent: made });
      return made;
    });
    if (!("data" in intent.call)) throw new TypeError("a delivery carries its data");
    const { data } = intent.call;
    const transaction = { chainId: 2, nonce: n, gas: intent.gas, maxFeePerGas: 2n, maxPriorityFeePerGas: 1n };
    await staged("send: sign", () =>
      keys.signTransaction("relayer", { ...transaction, to: destination.gateway, data }),
    );
    await staged("send", async () => {
      await stage.submit({ ...intent, id: `send-${n}`, chain: "alpha", account: "alice" });
      await stage.finish();
    });
    const delivering = transactionOf(`deliver ${n}`);
    const logs = own.map((sample, index) =>
      attemptLog(sample, { at: block(height), transaction: delivering, index }, "MessageExecuted"),
    );
    await staged("settle", () =>
      db.tx(async (tx) => {
        await observer.included(tx, "beta", [{ block: block(height), logs }]);
        await observer.finalized(tx, "beta", height);
      }),
    );
    seen = last.nonce;
  }
  await stage.close();
}

function onWire(entry: ChainLog) {
  return {
    ...entry,
    blockNumber: numberToHex(entry.blockNumber),
    logIndex: numberToHex(entry.logIndex),
    removed: false,
  };
}
