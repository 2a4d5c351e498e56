import { encodeAbiParameters, encodeEventTopics, getAbiItem } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Block, Chain, ChainLog } from "#core/chain/chain.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { untraced } from "#core/observe/tracing.ts";
import { swapEvents, swapMigrations, swapProjections } from "#swap";
import { createSwapChains, type SwapChain } from "#swap/chains.ts";
import { type LegName, type LegTerms, type SwapEvent, swapStream } from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { batchId } from "#swap/protocol/lockId.ts";
import { merkleRoot } from "#swap/protocol/merkle.ts";
import { createSwapIndex } from "#swap/readModel.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";
import { type OpenDatabase, quietLog } from "#test/support/databases.ts";
import { hexOf, legTerms, requested, secret } from "#test/swap/samples.ts";

/** A chain that answers what a test wants it to. Times are Unix seconds. */
export type FakeChain = Chain & {
  time: bigint;
  openAtFinal: boolean;
  transferReverts: boolean;
  transferAnswer: Hex;
  finalLag: bigint;
  finalNumber: bigint;
  /** Wei that every account has. */
  balance: bigint;
  /** Wei a gas. */
  maxFeePerGas: bigint;
  /** Makes blocks only when there is something to go into one. */
  idles: boolean;
};

export function fakeChain(name: string): FakeChain {
  const block = (number: bigint, timestamp: bigint): Block => ({
    number,
    hash: blockHash(number),
    parentHash: blockHash(number - 1n),
    timestamp,
  });
  const chain: FakeChain = {
    ...{
      name,
      chainId: name === "alpha" ? 1 : 2,
      time: 500n,
      openAtFinal: true,
      transferReverts: false,
      transferAnswer: "0x" as Hex,
      finalLag: 0n,
      finalNumber: 40n,
      balance: 0n,
      maxFeePerGas: 1n,
      idles: true,
    },
    genesis: async () => hexOf("0"),
    block: async (at) =>
      at === "latest"
        ? block(50n, chain.time)
        : block(at === "final" ? chain.finalNumber : at, chain.time - chain.finalLag),
    async call(request, at) {
      if (request.data?.startsWith("0xa9059cbb")) {
        if (chain.transferReverts) throw new LockstepError("call-reverted", "the call reverts with AccountFrozen");
        return chain.transferAnswer;
      }
      if (at !== chain.finalNumber) throw new Error("legs must be read at the final block");
      return encodeAbiParameters([{ type: "bool" }], [chain.openAtFinal]);
    },
    logs: async () => [],
    receipt: async () => undefined,
    account: async () => ({ balance: chain.balance, nonce: 0, hasCode: false }),
    fees: async () => ({ maxFeePerGas: chain.maxFeePerGas, maxPriorityFeePerGas: 1n }),
    send: async (signed) => signed,
  };
  return chain;
}

export const blockHash = (number: bigint, branch = "a"): Hex =>
  `0x${branch.repeat(48)}${number.toString(16).padStart(16, "0")}`;

const timing = { finality: 10n, inclusion: 20n, skew: 5n };

/** The parts of the swap context around an event store, on chains that are told what to say. */
export async function swapWorld({ db }: OpenDatabase) {
  await migrate(db, [...eventMigrations, ...swapMigrations]);
  const alpha = fakeChain("alpha");
  const beta = fakeChain("beta");
  const clock: Clock & { seconds: bigint } = {
    seconds: 500n,
    now: () => Number(clock.seconds) * 1_000,
    sleep: async () => undefined,
  };
  const store = createEventStore({
    db,
    schemas: swapEvents,
    projections: swapProjections,
    log: quietLog,
    // Tests put other terms into what was recorded.
    remembers: () => false,
  });
  const timelockContract = hexOf("c", 20);
  const watched = (chain: FakeChain): SwapChain => ({
    ...{ chain, timelockContract, timing },
    get idles() {
      return chain.idles;
    },
  });
  const chains = createSwapChains({
    chains: fixed({
      alpha: watched(alpha),
      beta: watched(beta),
    }),
    reactionSeconds: 10n,
    clock,
  });
  const append = async (...events: SwapEvent[]) => {
    const before = await store.load<SwapEvent>(db, swapStream("1"));
    await db.tx((tx) => store.append(tx, [{ stream: swapStream("1"), expected: before.length, events }]));
  };
  const swap = async (): Promise<Swap> => {
    const found = foldSwap(await store.load<SwapEvent>(db, swapStream("1")));
    if (!found) throw new Error("there is no swap");
    return found;
  };
  await append(requested);
  const index = createSwapIndex(db);
  const keyStore = { signTypedData: async () => hexOf("5", 65) };
  const driving = { keyStore, holdOf: () => undefined, tracer: untraced };
  return { db, store, index, chains, alpha, beta, clock, append, swap, ...driving };
}

type LogName = "Locked" | "Claimed" | "Refunded";

/** A block with one log of the timelock in it: of a leg as it was requested, or of somebody else's lock. */
export function blockWith(number: bigint, eventName: LogName, of: Leg, branch = "a"): IndexedBlock {
  const hash = blockHash(number, branch);
  const terms = { ...legTerms[of === "foreign" ? "source" : of], ...(of === "foreign" && { amount: 1n }) };
  const id = lockIdOf(terms, hashlockOf(secret));
  const { sender, recipient } = terms;
  const topics = encodeEventTopics({
    abi: hashedTimelockAbi,
    eventName,
    args: eventName === "Locked" ? { id, sender, recipient } : { id },
  });
  const log: ChainLog = {
    address: hexOf("c", 20),
    topics: topics as Hex[],
    data: dataOf(eventName, terms),
    blockNumber: number,
    blockHash: hash,
    transactionHash: hexOf("7"),
    logIndex: 0,
  };
  return { block: { number, hash, parentHash: blockHash(number - 1n), timestamp: 500n }, logs: [log] };
}

/** The id of a leg's lock as the only entry of a batch. */
export function batchOf(name: LegName): Hex {
  return lockIdOf({ ...legTerms[name], batch: { index: 0, leaves: [hexOf("0")] } }, hashlockOf(secret));
}

/** A block in which a leg is locked as the only entry of a batch. */
export function batchBlock(number: bigint, name: LegName): IndexedBlock {
  const { sender, recipient, amount, timelock, tip, chainId, timelockContract } = legTerms[name];
  const root = merkleRoot([batchOf(name)]);
  const topics = encodeEventTopics({
    ...{ abi: hashedTimelockAbi, eventName: "BatchLocked" },
    args: { id: batchId(chainId, timelockContract, root), sender, token: hexOf("0", 20) },
  });
  const inputs = getAbiItem({ abi: hashedTimelockAbi, name: "BatchLocked" }).inputs.filter(
    (each) => !("indexed" in each && each.indexed),
  );
  const values: Record<string, unknown> = {
    ...{ tip, root },
    entries: [{ recipient, amount, hashlock: hashlockOf(secret), timelock }],
  };
  const block = blockWith(number, "Locked", name);
  const data = encodeAbiParameters(inputs, inputs.map((each) => values[each.name ?? ""]) as never);
  return { block: block.block, logs: block.logs.map((log) => ({ ...log, topics: topics as Hex[], data })) };
}

type Leg = LegName | "foreign";

function dataOf(eventName: LogName, { amount, timelock, tip }: LegTerms): Hex {
  if (eventName === "Claimed") return secret;
  if (eventName === "Refunded") return "0x";
  const types = ["address", "uint256", "bytes32", "uint64", "uint96"].map((type) => ({ type }));
  return encodeAbiParameters(types, [hexOf("0", 20), amount, hashlockOf(secret), timelock, tip]);
}
