import assert from "node:assert/strict";
import type { WatchtowerConfig } from "#core/config/service.ts";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { createLockLedger } from "#swap/locks/ledger.ts";
import { createWatchDriver } from "#swap/watch/driver.ts";
import { type WatchEvent, watchIdOf, watchStream } from "#swap/watch/events.ts";
import { createLedgerNews } from "#swap/watch/ledgerNews.ts";
import { createLockReader } from "#swap/watch/reader.ts";
import { createWatchIndex } from "#swap/watch/readModel.ts";
import { createRecovery } from "#swap/watch/recovery.ts";
import { createWatchRequester } from "#swap/watch/request.ts";
import { foldWatch } from "#swap/watch/watch.ts";
import { quietLog } from "#test/support/databases.ts";
import { swapWorld } from "#test/swap/support.ts";

export const policy: WatchtowerConfig = {
  account: "tower",
  tokens: { alpha: ["native"] },
  minTipPercent: 100,
  maxWatched: 2,
};

/** The watchtower around a ledger that a test fills, with a sender that does what a test says. */
export async function watchWorld(
  database: Parameters<typeof swapWorld>[0],
  options: {
    config?: WatchtowerConfig | undefined;
    accounts?: Record<string, Hex>;
    admission?: Pick<Parameters<typeof createWatchRequester>[0], "admit" | "admitOwn">;
  } = {},
) {
  const { config, accounts = {} } = { config: policy, ...options };
  const world = await swapWorld(database);
  const { db, store, chains, clock } = world;
  const ledger = createLockLedger({ chains, news: createLedgerNews({ store, clock }) });
  const intents = new Map<string, { request: IntentRequest; status: IntentStatus }>();
  const sender: Sender = {
    async submit(_tx, requests) {
      for (const request of requests) intents.set(request.id, { request, status: { state: "sent" } });
    },
    find: async (_from, id) => intents.get(id)?.status,
    findByTransactions: async () => new Map(),
  };
  const index = createWatchIndex(db);
  const driver = createWatchDriver({
    ...world,
    sender,
    index,
    account: config?.account,
    log: quietLog,
  });
  const requester = createWatchRequester({ db, store, chains, config, ...options.admission });
  const reader = createLockReader({ db, store, chains, on: true });
  const keyStore = { names: () => Object.keys(accounts), address: (name: string) => accounts[name] ?? assert.fail() };
  /** What `isOpen` and `openLeaves` answer, by the id that they ask for; nothing is open by itself. */
  const onChain = new Map<Hex, bigint>();
  Object.assign(world.alpha, {
    call: async ({ data = "0x" }: { data?: Hex }) =>
      `0x${(onChain.get(`0x${data.slice(10)}`) ?? 0n).toString(16).padStart(64, "0")}`,
  });
  const watch = async (id: Hex) =>
    foldWatch(await store.load<WatchEvent>(db, watchStream(watchIdOf("alpha", id)))) ?? assert.fail("not watched");
  return {
    ...{ ...world, intents, index, driver, requester, reader, onChain, watch },
    recovery: createRecovery({ db, keyStore, chains, reader, requester }),
    include: (chain: string, ...blocks: IndexedBlock[]) => db.tx((tx) => ledger.included(tx, chain, blocks)),
    reorg: (ancestor: bigint, deep = false) => db.tx((tx) => ledger.reorged(tx, "alpha", ancestor, deep)),
    finalize: (height: bigint) => db.tx((tx) => ledger.finalized(tx, "alpha", height)),
    advance: (id: Hex) => driver.advance(watchIdOf("alpha", id)),
    /** Steps and attempts of all transactions that were asked for. */
    asked: () => [...intents.keys()].map((id) => id.split("-").slice(-2).join("-")),
    end(status: IntentStatus) {
      for (const intent of intents.values()) if (intent.status.state === "sent") intent.status = status;
    },
    dueAt: async (id: Hex) => {
      const [row] = await db.query<{ due_at: Date | null }>("select due_at from lock_watches where lock_id = $1", [id]);
      return row?.due_at ? BigInt(Math.floor(row.due_at.getTime() / 1000)) : undefined;
    },
  };
}

export const refusedWith = async (work: Promise<unknown>): Promise<LockstepError> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof LockstepError) return error;
    throw error;
  }
  return assert.fail("nothing was refused");
};
