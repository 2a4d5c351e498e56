import { randomUUID } from "node:crypto";
import { encodeAbiParameters } from "viem";
import { z } from "zod";
import { createKeyStore } from "#core/chain/keys.ts";
import { deskConfigSchema } from "#core/config/desk.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { checksummed } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer, deriveKey } from "#core/kernel/seal.ts";
import { untraced } from "#core/observe/tracing.ts";
import type { Sender } from "#core/sender/sender.ts";
import { swapEvents, swapMigrations, swapProjections } from "#swap";
import { createSwapChains } from "#swap/chains.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type SwapEvent, swapStream } from "#swap/events.ts";
import { describeDesk } from "#swap/quotes/describe.ts";
import { createDesk } from "#swap/quotes/desk.ts";
import { settleOrder } from "#swap/quotes/orders.ts";
import type { Price } from "#swap/quotes/price.ts";
import { createQuoteIds } from "#swap/quotes/quoteIds.ts";
import { quoteRequestSchema, swapOrderSchema } from "#swap/quotes/schemas.ts";
import { createSwapIndex } from "#swap/readModel.ts";
import { createSwapRequester } from "#swap/request.ts";
import { createReserves } from "#swap/reserves.ts";
import { createSecretStore } from "#swap/secrets.ts";
import { type OpenDatabase, quietLog } from "#test/support/databases.ts";
import { hexOf } from "#test/swap/samples.ts";
import { type FakeChain, fakeChain } from "#test/swap/support.ts";

export const coin = 10n ** 18n;
export const dollar = 10n ** 6n;
const token = hexOf("d", 20);
const native = { type: "native" } as const;
const erc20 = { type: "erc20", address: token } as const;
export const usd = erc20;

/** A desk that gives dollars of beta for coins of alpha at 2,500 less 0.3 %, and the other way round. */
export const deskSettings = {
  account: "desk",
  assets: {
    eth: { chain: "alpha", asset: native, decimals: 18, symbol: "ETH" },
    usd: { chain: "beta", asset: erc20, decimals: 6, symbol: "USD" },
  },
  pairs: [
    { source: "eth", target: "usd", least: (coin / 1000n).toString(), most: (10n * coin).toString(), feeBps: 30 },
    { source: "usd", target: "eth", least: "1000000", most: "25000000000", feeBps: 30 },
  ],
  prices: { table: { "ETH/USD": "2500" } },
};

/** What an account has on a chain; everybody else is rich. */
type Purse = { coin: bigint; tokens: bigint };

const rich: Purse = { coin: 1_000_000n * coin, tokens: 10n ** 15n };

function withPurses(chain: FakeChain, purses: Record<string, Purse>): FakeChain {
  const of = (account: string) => purses[account.toLowerCase()] ?? rich;
  return Object.assign(chain, {
    account: async (account: string) => ({ balance: of(account).coin, nonce: 0, hasCode: true }),
    async call({ data = "0x" }: { data?: string }) {
      return encodeAbiParameters([{ type: "uint256" }], [of(`0x${data.slice(34, 74)}`).tokens]);
    },
  });
}

/** The desk and the requests for swaps, on chains that say what a test wants them to. */
export async function deskWorld({ db }: OpenDatabase, settings: object = {}) {
  await migrate(db, [...eventMigrations, ...swapMigrations]);
  const config = z.decode(deskConfigSchema, { ...deskSettings, ...settings } as never);
  const key = (digit: string) => redact(hexOf(digit));
  const keyStore = createKeyStore({ alice: key("1"), bob: key("2"), desk: key("3") });
  const address = keyStore.address("desk");
  const purses = { alpha: { coin: 100n * coin, tokens: 0n }, beta: { coin, tokens: 1_000_000n * dollar } };
  const alpha = withPurses(fakeChain("alpha"), { [address.toLowerCase()]: purses.alpha });
  const beta = withPurses(fakeChain("beta"), { [address.toLowerCase()]: purses.beta });
  const clock = { ms: 500_000, now: () => clock.ms, sleep: async () => undefined };
  const timing = { finality: 10n, inclusion: 20n, skew: 5n };
  const states: { alpha: "active" | "paused" } = { alpha: "active" };
  const timelockContract = checksummed(hexOf("c", 20));
  const chains = createSwapChains({
    chains: fixed({
      alpha: {
        ...{ chain: alpha, timelockContract, timing },
        get state() {
          return states.alpha;
        },
      },
      beta: { chain: beta, timelockContract, timing },
    }),
    reactionSeconds: 10n,
    clock,
  });
  const market: { price: bigint | undefined } = { price: 2_500n };
  const prices = {
    async price(base: string): Promise<Price> {
      if (market.price === undefined) throw new LockstepError("price-unavailable", "there is no price");
      const at = new Date(clock.ms);
      if (base === "ETH") return { numerator: market.price, denominator: 1n, at };
      return { numerator: 1n, denominator: market.price, at };
    },
  };
  const sealingKey = redact(new Uint8Array(32).fill(7));
  const store = createEventStore({ db, schemas: swapEvents, projections: swapProjections, log: quietLog });
  const ids = createQuoteIds({ key: deriveKey(sealingKey, "quotes") });
  const reserves = createReserves({ db, chains, keyStore });
  const desk = createDesk({ config, db, chains, keyStore, prices, reserves, ids, clock });
  const secrets = createSecretStore({ sealer: createSealer(sealingKey) });
  const requester = createSwapRequester({
    brakes: { admit: async () => undefined },
    asksApproval: false,
    reserves,
    db,
    store,
    chains,
    keyStore,
    secrets,
    clock,
    handoverSeconds: 120n,
  });
  const index = createSwapIndex(db);
  const idle: Sender = {
    submit: async () => undefined,
    find: async () => undefined,
    findByTransactions: async () => new Map(),
  };
  const driver = createSwapDriver({
    ...{ db, store, chains, index, keyStore },
    ...{ sender: idle, holdOf: () => undefined, clock, tracer: untraced, log: quietLog },
  });
  return {
    ...{ db, alpha, beta, clock, purses, market, states, ids, desk, address, index, driver },
    quote: (body: unknown) => desk.quote(quoteRequestSchema.parse(body)),
    /** As the API does it; answers the id of the swap. */
    async request(body: unknown) {
      const id = randomUUID();
      await requester.request(await settleOrder(desk, swapOrderSchema.parse(body)), id);
      return id;
    },
    describe: () => describeDesk({ config, db, chains, prices, reserves, desk }),
    async requested(id: string) {
      const [first] = await store.load<SwapEvent>(db, swapStream(id));
      if (first?.type !== "SwapRequested") throw new Error("there is no such swap");
      return first.data;
    },
    async append(id: string, event: SwapEvent) {
      const stream = swapStream(id);
      const { length: expected } = await store.load<SwapEvent>(db, stream);
      await db.tx((tx) => store.append(tx, [{ stream, expected, events: [event] }]));
    },
    count: async (table: string) =>
      (await db.query<{ count: number }>(`select count(*)::integer as count from ${table}`))[0]?.count,
  };
}

export type DeskWorld = Awaited<ReturnType<typeof deskWorld>>;

/** A request for a quote of dollars for coins. */
export const asking = (side: "source" | "target", amount: bigint) => ({
  source: { chain: "alpha", asset: native, ...(side === "source" && { amount: amount.toString() }) },
  target: { chain: "beta", asset: erc20, ...(side === "target" && { amount: amount.toString() }) },
});

/** A request for a swap with the desk at amounts of one's own. */
export const offering = (source: bigint, target: bigint, initiator = "alice") => ({
  source: { chain: "alpha", asset: native, amount: source.toString() },
  target: { chain: "beta", asset: erc20, amount: target.toString() },
  initiator: { account: initiator },
  counterparty: { account: "desk" },
});
