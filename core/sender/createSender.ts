import { z } from "zod";
import type { KeyStore } from "../chain/keys.ts";
import { createSameChain, type SameChain } from "../chain/sameChain.ts";
import type { Db, Queryable, Tx } from "../db/db.ts";
import type { EventStore } from "../events/store.ts";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { gather } from "../kernel/gather.ts";
import type { Live } from "../kernel/live.ts";
import { type Mark, noMark } from "../kernel/mark.ts";
import { createRoster } from "../kernel/roster.ts";
import type { Sealer } from "../kernel/seal.ts";
import { alwaysHeld, type Leases } from "../lease/lease.ts";
import type { Log } from "../observe/log.ts";
import type { Scope } from "../observe/tracking.ts";
import { createAttemptSigner } from "./attempts.ts";
import type { SenderChain, SendSettings } from "./context.ts";
import { defaultFeeCeiling, urgentFeeCeiling } from "./fees.ts";
import { readFigures, type SenderFigures, type StuckAccount, stuckAccounts } from "./figures.ts";
import { createLane, type Lane, type LaneStatus } from "./lane.ts";
import { createPools } from "./pools.ts";
import { countOpenIntents, findIntents, findIntentsByTransactions, findWaiting, type OpenIntents } from "./queries.ts";
import { senderChannel as channel, insertIntents } from "./rows.ts";
import type { CallBuilder, IntentGuard, IntentRequest, IntentStatus, Sender, Waiting } from "./sender.ts";
import { describeIntent, intentScope, type TrackingOf, tracedGuards, tracedSigner } from "./traced.ts";
import { createWaits } from "./waits.ts";

/** EIP-7825: no transaction may use more. */
const gasCap = 16_777_216n;
const leastGas = 21_000n;

const defaults: SendSettings = {
  pollMs: 20,
  resendMs: 1_000,
  maxPending: 64,
  feeCeiling: () => defaultFeeCeiling,
  urgentCeilings: () => ({ ordinary: defaultFeeCeiling, unpriced: urgentFeeCeiling }),
  inclusionMs: () => 60_000,
  outbids: () => false,
  patient: () => false,
  stuckMs: 60_000,
  lowBalance: () => undefined,
  holds: () => false,
};

/** A chain, and how it is sent to; what is left out has a default for a local network. */
export type SendTarget = { readonly chain: SenderChain; readonly settings?: Partial<SendSettings> };

export type SenderDeps = {
  readonly db: Db;
  readonly store: EventStore;
  /** By name. */
  readonly chains: Live<SendTarget>;
  /** Throws `chain-unknown`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  readonly keyStore: KeyStore;
  /** Names that stand for one of several accounts; none may be the name of an account. */
  readonly pools?: Readonly<Record<string, readonly string[]>>;
  /** Keeps signed bytes unreadable in the database. */
  readonly sealer: Sealer;
  /** Makers of calls that must not be stored, by name. */
  readonly builders?: Readonly<Record<string, CallBuilder>>;
  /** Last checks, by kind of intent. */
  readonly guards?: Readonly<Record<string, IntentGuard>>;
  readonly clock: Clock;
  /** Shared by all who work on the chains; one of its own when left out. */
  readonly sameChain?: SameChain;
  readonly log: Log;
  /** What an intent is worked for, where that is not its subject. */
  readonly trackingOf?: TrackingOf;
  /** Where sending is traced. */
  readonly scope?: Scope | undefined;
  /** One process sends with an account on a chain; this one with all where it is left out. */
  readonly leases?: Leases;
  /** Whether another process, which sends with the account, gets nothing into a block with it at present. */
  readonly isUnfitElsewhere?: (chain: string, account: string) => boolean;
  /** While true nothing is signed and nothing sent, not even what was signed before; never where it is left out. */
  readonly isHeld?: () => Promise<boolean>;
  /** Called with `signed/{kind}` and `broadcast/{kind}`, after the write and after the bytes left. */
  readonly mark?: Mark;
  /** Called when something of ours reached a chain or a block: a good moment to look at that chain. */
  readonly onActivity?: (chain: string) => void;
  /** Called when a well-paid transaction of ours is in a block, with the milliseconds since its first byte left. */
  readonly onInclusion?: (chain: string, ms: number) => void;
};

/**
 * Sends what intents ask for. `submit`, `find` and `findByTransactions` work without `start`; sending is then up to
 * another process. Events go to the stream `intent-{id}`.
 */
export type RunningSender = Sender & {
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): readonly LaneStatus[];
  /** Milliseconds after which an intent of the chain in no block counts as stuck. */
  stuckMs(chain: string): number;
  /** Why open intents wait, of those that something is known of. */
  waiting(): Promise<ReadonlyMap<string, Waiting>>;
  /** Counts, ages and fees of all accounts, whichever process sends for them. */
  figures(): Promise<SenderFigures>;
  /** Accounts whose oldest intent in no block is older than the chain's bound, and why. */
  stuck(): Promise<readonly StuckAccount[]>;
  /** How many intents of a chain have not ended. */
  unfinished(from: Queryable, chain: string): Promise<OpenIntents>;
};

/** The accounts of one chain. */
type ChainLanes = { readonly byAccount: ReadonlyMap<string, Lane>; start(): void; stop(): Promise<void> };

/** Intents that are looked up in one statement. */
const mostFound = 50;

/** Throws `config-invalid` for a pool that is empty, has an account's name, or names an account that is not there. */
export function createSender(deps: SenderDeps): RunningSender {
  const { db, chains, keyStore, guards = {}, builders = {}, mark = noMark } = deps;
  const { sameChain = createSameChain(deps), leases = alwaysHeld(db) } = deps;
  const { onActivity = () => undefined, onInclusion = () => undefined, isHeld = async () => false } = deps;
  const { trackingOf = ({ subject }) => subject } = deps;
  const within = intentScope(deps.scope, trackingOf);
  const checked = tracedGuards(guards, within);
  const pools = checkedPools(deps.pools ?? {}, keyStore);
  const settingsOf = (chain: string): SendSettings => ({ ...defaults, ...chains.get(chain)?.settings });
  const roster = createRoster<SendTarget, ChainLanes>({
    live: chains,
    create: lanesOf,
    keeps: ({ byAccount }, before, after) =>
      before.chain === after.chain &&
      before.settings === after.settings &&
      [...byAccount.values()].every((lane) => lane.status().state !== "halted"),
    onError: (error, chain) => deps.log.error({ err: error, chain }, "the sender of a chain did not start or stop"),
  });
  const laneAt = (chain: string, account: string) => roster.get(chain)?.byAccount.get(account);

  function lanesOf({ chain, settings: given }: SendTarget, name: string): ChainLanes {
    const { store, sealer, clock } = deps;
    const settings = { ...defaults, ...given };
    const owned = keyStore.names().map((account) => {
      const lease = leases.of(`sender/${name}/${account}`);
      const bare = createAttemptSigner({
        ...{ chainId: chain.chainId, account, keyStore, sealer, builders },
        admit: () => sameChain.refuseDoubted(name),
      });
      const signer = tracedSigner(bare, within);
      const log = deps.log.child({ module: "sender", chain: name, account });
      const address = keyStore.address(account);
      const relieve = () => placement.relieve(name, account);
      const waits = createWaits({ chain: name, account });
      const shared = { store, guards: checked, sameChain, clock, log, mark, within, onActivity, onInclusion };
      const own = { db: lease.db, chain, account, address, signer, settings, relieve, waits, isHeld };
      const lane = createLane({ ...shared, ...own, about: describeIntent(trackingOf) });
      return { account, lane, lease };
    });
    return {
      byAccount: new Map(owned.map(({ account, lane }) => [account, lane])),
      start() {
        for (const { lane, lease } of owned) lease.contend(lane);
      },
      stop: async () => void (await Promise.all(owned.map(({ lease }) => lease.leave()))),
    };
  }

  const placement = createPools({
    db,
    pools,
    stateOf(chain, account) {
      const status = laneAt(chain, account)?.status();
      if (status === undefined) return { fit: true };
      const { state, oldestWaitingMs = 0, free, maxFeePerGas } = status;
      const isStuck = state === "halted" || oldestWaitingMs >= settingsOf(chain).stuckMs;
      const fit = !isStuck && deps.isUnfitElsewhere?.(chain, account) !== true;
      return { fit, free, ...(maxFeePerGas !== undefined && { maxFee: maxFeePerGas }) };
    },
  });
  let unlisten: (() => Promise<void>) | undefined;

  function check(intent: IntentRequest): void {
    const { id, chain, account, gas, call } = intent;
    if (chains.get(chain) === undefined) {
      throw new LockstepError("chain-unknown", `there is no chain ${chain}`, { details: { chain } });
    }
    if (!(account in pools)) keyStore.address(account);
    if (gas < leastGas || gas > gasCap) {
      throw new LockstepError("request-invalid", `the gas of an intent is between ${leastGas} and ${gasCap}`, {
        details: { field: "gas", intent: id, gas },
      });
    }
    if ("builder" in call && builders[call.builder] === undefined) {
      throw new LockstepError("internal", `nobody builds calls of the kind ${call.builder}`, {
        details: { intent: id },
      });
    }
  }

  const findOne = gather<string, IntentStatus | undefined>(async (ids) => {
    const found = await findIntents(db, ids);
    return ids.map((id) => ({ status: "fulfilled", value: found.get(id) }));
  }, mostFound);

  return {
    async submit(tx, intents) {
      if (intents.length === 0) return;
      for (const intent of intents) check(intent);
      await deps.admit?.(tx, [...new Set(intents.map(({ chain }) => chain))]);
      const placed = await placement.place(tx, intents);
      await insertIntents(tx, placed, { channel, at: deps.clock.now() });
      tx.afterCommit(() => {
        for (const { chain, account } of placed) laneAt(chain, account)?.wake();
      });
    },
    find: async (from, id) => (from === db ? findOne(id) : (await findIntents(from, [id])).get(id)),
    findByTransactions: findIntentsByTransactions,
    async start() {
      unlisten ??= await db.listen(channel, (payload) => {
        const named = lanePayload.safeParse(payload);
        if (named.success) laneAt(...named.data)?.wake();
      });
      await roster.start();
    },
    async stop() {
      await unlisten?.();
      unlisten = undefined;
      await roster.stop();
    },
    status: () => roster.all().flatMap(({ byAccount }) => [...byAccount.values()].map((lane) => lane.status())),
    stuckMs: (chain) => settingsOf(chain).stuckMs,
    unfinished: countOpenIntents,
    waiting: () => findWaiting(db),
    figures: () => readFigures(db, deps.clock.now()),
    async stuck() {
      const bounds = chains.entries().map(([chain]) => ({ chain, ms: settingsOf(chain).stuckMs }));
      const found = await stuckAccounts(db, bounds, deps.clock.now());
      const failing = (each: StuckAccount) => laneAt(each.chain, each.account)?.status().error?.code;
      return found.map((each) => ({ ...each, reason: each.reason ?? failing(each) }));
    },
  };
}

function checkedPools(pools: Readonly<Record<string, readonly string[]>>, keyStore: KeyStore) {
  const known = keyStore.names();
  for (const [pool, accounts] of Object.entries(pools)) {
    const missing = accounts.find((account) => !known.includes(account));
    if (accounts.length > 0 && missing === undefined && !known.includes(pool)) continue;
    const what = missing === undefined ? "needs accounts, and a name that is not an account's" : `names ${missing}`;
    throw new LockstepError("config-invalid", `the pool ${pool} ${what}; there are ${known.join(", ")}`, {
      details: { field: pool },
    });
  }
  return pools;
}

const lanePayload = z
  .string()
  .transform((text): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  })
  .pipe(z.tuple([z.string(), z.string()]));
