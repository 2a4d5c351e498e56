import { z } from "zod";
import type { ChainAccess } from "../chain/chain.ts";
import type { KeyStore } from "../chain/keys.ts";
import type { Db } from "../db/db.ts";
import type { EventStore } from "../events/store.ts";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Mark, noMark } from "../kernel/mark.ts";
import type { Sealer } from "../kernel/seal.ts";
import type { Log } from "../observe/log.ts";
import { createAttemptSigner } from "./attempts.ts";
import type { SendSettings } from "./context.ts";
import { defaultFeeCeiling } from "./fees.ts";
import { createLane, type Lane, type LaneStatus } from "./lane.ts";
import { findIntent, findIntentsByTransactions } from "./queries.ts";
import { insertIntents } from "./rows.ts";
import type { CallBuilder, IntentGuard, IntentRequest, Sender } from "./sender.ts";

const channel = "lockstep_sender";
/** EIP-7825: no transaction may use more. */
const gasCap = 16_777_216n;
const leastGas = 21_000n;

const defaults: SendSettings = {
  pollMs: 20,
  resendMs: 1_000,
  maxPending: 64,
  feeCeiling: () => defaultFeeCeiling,
};

export type SenderDeps = {
  readonly db: Db;
  readonly store: EventStore;
  /** By name. */
  readonly chains: Readonly<Record<string, ChainAccess>>;
  readonly keyStore: KeyStore;
  /** Keeps signed bytes unreadable in the database. */
  readonly sealer: Sealer;
  /** Makers of calls that must not be stored, by name. */
  readonly builders?: Readonly<Record<string, CallBuilder>>;
  /** Last checks, by kind of intent. */
  readonly guards?: Readonly<Record<string, IntentGuard>>;
  /** By chain; what is left out has a default for a local network. */
  readonly settings?: Readonly<Record<string, Partial<SendSettings>>>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with `signed/{kind}` and `broadcast/{kind}`, after the write and after the bytes left. */
  readonly mark?: Mark;
  /** Called when something of ours reached a chain or a block: a good moment to look at that chain. */
  readonly onActivity?: (chain: string) => void;
};

/**
 * Sends what intents ask for. `submit`, `find` and `findByTransactions` work without `start`; sending is then up to
 * another process. Events go to the stream `intent-{id}`.
 */
export type RunningSender = Sender & {
  start(): Promise<void>;
  stop(): Promise<void>;
  status(): readonly LaneStatus[];
};

export function createSender(deps: SenderDeps): RunningSender {
  const { db, chains, keyStore, guards = {}, builders = {}, mark = noMark, onActivity = () => undefined } = deps;
  const lanes = new Map<string, Lane>();
  for (const [name, chain] of Object.entries(chains)) {
    for (const account of keyStore.names()) {
      const { store, sealer, clock } = deps;
      const signer = createAttemptSigner({ chainId: chain.chainId, account, keyStore, sealer, builders });
      const settings = { ...defaults, ...deps.settings?.[name] };
      const log = deps.log.child({ module: "sender", chain: name, account });
      const address = keyStore.address(account);
      const submitOwn = (intent: IntentRequest) => db.tx((tx) => insertIntents(tx, [intent], channel));
      const shared = { db, store, guards, clock, log, mark, onActivity, submitOwn };
      lanes.set(laneKey(name, account), createLane({ ...shared, chain, account, address, signer, settings }));
    }
  }
  let unlisten: (() => Promise<void>) | undefined;

  function check(intent: IntentRequest): void {
    const { id, chain, account, gas, call } = intent;
    if (chains[chain] === undefined) {
      throw new LockstepError("chain-unknown", `there is no chain ${chain}`, { details: { chain } });
    }
    keyStore.address(account);
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

  return {
    async submit(tx, intents) {
      if (intents.length === 0) return;
      for (const intent of intents) check(intent);
      await insertIntents(tx, intents, channel);
      tx.afterCommit(() => {
        for (const { chain, account } of intents) lanes.get(laneKey(chain, account))?.wake();
      });
    },
    find: findIntent,
    findByTransactions: findIntentsByTransactions,
    async start() {
      unlisten ??= await db.listen(channel, (payload) => {
        const named = lanePayload.safeParse(payload);
        if (named.success) lanes.get(laneKey(...named.data))?.wake();
      });
      for (const lane of lanes.values()) lane.start();
    },
    async stop() {
      await unlisten?.();
      unlisten = undefined;
      await Promise.all([...lanes.values()].map((lane) => lane.stop()));
    },
    status: () => [...lanes.values()].map((lane) => lane.status()),
  };
}

const laneKey = (chain: string, account: string) => JSON.stringify([chain, account]);

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
