import type { Block, Chain, WatchableChain } from "../chain/chain.ts";
import { createSameChain, type SameChain } from "../chain/sameChain.ts";
import type { ChainConfig } from "../config/chains.ts";
import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, type StepAnswer, startLoop } from "../kernel/loop.ts";
import { type Mark, noMark } from "../kernel/mark.ts";
import type { Log } from "../observe/log.ts";
import { allAddresses, announce, type News } from "./announce.ts";
import { createAssurance } from "./assurance.ts";
import { createGaps } from "./gaps.ts";
import { forkPoint, genesisState, lookAtChain } from "./look.ts";
import type { ChainObserver } from "./observer.ts";
import type { KnownBlock } from "./reconcile.ts";
import { stateFrom } from "./reindex.ts";
import { reread } from "./reread.ts";
import { settle } from "./settle.ts";
import { createSpanReader } from "./spans.ts";
import { createState, type IndexState, loadState, moveState, tipOf } from "./tables.ts";

const longestBackoffMs = 5_000;
/** Milliseconds between two looks where the chain wakes the indexer. */
const restMs = 1_000;

export type IndexerDeps = {
  readonly chain: WatchableChain;
  readonly config: Pick<ChainConfig, "pollMs" | "startBlock" | "logWindow" | "recheckMs">;
  readonly db: Db;
  readonly observers: readonly ChainObserver[];
  readonly log: Log;
  readonly clock: Clock;
  /** Shared by all who work on the chain; one of its own when left out. */
  readonly sameChain?: SameChain;
  /** Called with `indexed/{chain}` after every commit. */
  readonly mark?: Mark;
  /** Called once when it halts for good. */
  readonly onHalt?: (error: unknown) => void;
};

export type IndexerStatus = {
  readonly chain: string;
  readonly state: "stopped" | "running" | "halted";
  /** Last block indexed, last final one, and the chain's head when last seen. */
  readonly indexed: bigint | undefined;
  readonly final: bigint | undefined;
  readonly head: bigint | undefined;
  /** Milliseconds since 1970 of the last step that found the chain and the database well. */
  readonly healthyAt: number | undefined;
  /** Final blocks up to here were looked at twice; what is recorded up to `verified` agrees with the contracts' heads. */
  readonly checked: bigint | undefined;
  readonly verified: bigint | undefined;
  /** Why it halted, what the last step failed with, or what is missing though the chain can be followed. */
  readonly error: LockstepError | undefined;
};

/**
 * Follows one chain from its checkpoint and tells the observers. Halts for good (`status().state`) with
 * `chain-replaced`, `reorg-too-deep`, or `lane-broken` when logs that an observer misses do not turn
 * up; everything else is tried again. Behind the head it makes sure that nothing was left out: see `createAssurance`.
 */
export type Indexer = {
  start(): void;
  stop(): Promise<void>;
  status(): IndexerStatus;
  /** Looks at the chain soon instead of at the next poll. */
  wake(): void;
  /**
   * Goes on after `reorg-too-deep` from the last block that the two branches share, as an operator has decided: what was
   * recorded above it is taken back, final or not. Throws `reindex-refused` when it is not halted for that reason or when
   * the block is not that of the chain and of what is recorded.
   */
  reindex(fork: KnownBlock): Promise<void>;
  /** Shows observers every block from the start once more, because they serve more lanes now than before. */
  readAgain(): void;
};

export function createIndexer(deps: IndexerDeps): Indexer {
  const { chain, config, db, observers, clock, mark = noMark, sameChain = createSameChain(deps) } = deps;
  const log = deps.log.child({ module: "indexer", chain: chain.name });
  const reader = createSpanReader({ chain, logWindow: config.logWindow, pauseMs: config.pollMs, clock, log });
  const gaps = createGaps();
  const startBlock = BigInt(config.startBlock);
  const shared = { chain, reader, observers, log, clock, logWindow: config.logWindow, startBlock };
  const assurance = createAssurance({ ...shared, everyMs: config.recheckMs, commit });
  let loop: Loop | undefined;
  let trouble: Trouble | undefined;
  let state: IndexState | undefined;
  let head: bigint | undefined;
  let healthyAt: number | undefined;

  async function step(): Promise<StepAnswer> {
    const current = state ?? (await openState(db, chain, { startBlock, sameChain }));
    if (current === undefined) return "idle";
    state = current;
    const answer = await gaps.around(
      () => follow(state ?? current),
      (from = startBlock) => reread({ ...shared, commit }, state ?? current, from),
    );
    await assurance.look(state ?? current, answer === "idle");
    healthyAt = clock.now();
    trouble = undefined;
    return answer;
  }

  async function follow(current: IndexState): Promise<StepAnswer> {
    const look = await lookAtChain(chain, current);
    head = look.head.number;
    const { outcome } = look;
    if (outcome.kind === "torn") return "idle";
    if (outcome.kind !== "too-deep" && head >= current.final) sameChain.noFork(chain.name);
    if (outcome.kind === "too-deep" || outcome.kind === "reorged") await sameChain.assert(chain, current.genesis);
    switch (outcome.kind) {
      case "unchanged":
        if (look.head.number < tipOf(current).number) await sameChain.assert(chain, current.genesis);
        return settleFinal(current, look.final);
      case "reorged":
        log.warn({ ancestor: outcome.ancestor.number, tip: tipOf(current).number }, "chain reorganised");
        await commit(current, dropAbove(current, outcome.ancestor), { ancestor: outcome.ancestor.number, indexed: [] });
        return "continue";
      case "too-deep":
        sameChain.confirmFork(chain.name, outcome);
        throw tooDeep(chain.name, outcome, await forkPoint(chain, current, look.head.number));
      case "extended":
        return extend(current, look.head, look.final, look.blocks);
    }
  }

  async function extend(
    current: IndexState,
    to: Block,
    final: KnownBlock,
    blocks: ReadonlyMap<bigint, Block>,
  ): Promise<StepAnswer> {
    const tip = tipOf(current);
    const addresses = allAddresses(chain.name, observers);
    const span = await reader.next({ tip, head: to, final: final.number, addresses, blocks });
    if (span === undefined) return "idle";
    const known = [...current.known, ...span.recorded];
    const finished = await settle({ ...shared, next: { ...current, known }, final, seen: tip.number });
    if (finished === undefined) return "idle";
    const indexed = [...finished.news.indexed, ...span.indexed];
    await commit(current, finished.state, { ...finished.news, indexed });
    return tipOf(finished.state).number < to.number ? "continue" : "idle";
  }

  /** Moves only the final height, where it rose. */
  async function settleFinal(current: IndexState, final: KnownBlock): Promise<StepAnswer> {
    if (final.number <= current.final) return "idle";
    const finished = await settle({ ...shared, next: current, final, seen: tipOf(current).number });
    if (finished !== undefined && finished.state.final > current.final) {
      await commit(current, finished.state, finished.news);
    }
    return "idle";
  }

  async function commit(from: IndexState, to: IndexState, news: News): Promise<IndexState> {
    const next = { ...to, revision: from.revision + 1n };
    try {
      await db.tx(async (tx) => {
        await moveState(tx, chain.name, from, next);
        await announce(tx, chain.name, observers, news);
      });
    } catch (error) {
      // Whether it was committed is not always known: the next step reads the state anew.
      state = undefined;
      throw error;
    }
    state = next;
    if (tipOf(next).hash !== tipOf(from).hash) gaps.closed();
    mark(`indexed/${chain.name}`);
    return next;
  }

  function start(): void {
    if (loop !== undefined) return;
    trouble = undefined;
    healthyAt = undefined;
    state = undefined;
    gaps.closed();
    loop = startLoop({
      step,
      clock,
      idleMs: chain.watchHeads === undefined ? config.pollMs : Math.max(config.pollMs, restMs),
      backoff: { firstMs: config.pollMs, maxMs: longestBackoffMs },
      onError(error, { failures, fatal, retryInMs }) {
        trouble = { error: asOurs(error), fatal };
        if (fatal) {
          log.error({ err: error }, "indexer halted");
          deps.onHalt?.(error);
        } else log.warn({ err: error, failures, retry_in_ms: retryInMs }, "indexer step failed");
      },
    });
    void loop.ended.then(chain.watchHeads?.(loop.wake));
  }

  return {
    start,
    async stop() {
      await loop?.stop();
      loop = undefined;
      trouble = undefined;
    },
    status: () => ({
      chain: chain.name,
      state: trouble?.fatal ? "halted" : loop === undefined ? "stopped" : "running",
      indexed: state === undefined ? undefined : tipOf(state).number,
      final: state?.final,
      head,
      healthyAt,
      checked: state?.checked,
      verified: assurance.verified(),
      error: trouble?.error ?? assurance.trouble(),
    }),
    ...{ wake: () => loop?.wake(), readAgain: gaps.open },
    async reindex(fork) {
      const stored = isDeepFork(trouble) ? await loadState(db, chain.name) : undefined;
      const next = await stateFrom(chain, stored, fork, sameChain);
      await loop?.stop();
      loop = undefined;
      log.warn({ fork: fork.number, hash: fork.hash, tip: tipOf(next.from).number }, "reindexing from a fork");
      await commit(next.from, next.to, { ancestor: fork.number, deep: true, indexed: [] });
      start();
    },
  };
}

/** What the last step failed with, and whether for good. */
type Trouble = { readonly error: LockstepError; readonly fatal: boolean };

const isDeepFork = (trouble: Trouble | undefined): boolean =>
  trouble?.fatal === true && trouble.error.code === "reorg-too-deep";

const asOurs = (error: unknown) =>
  error instanceof LockstepError ? error : new LockstepError("internal", "a step failed", { cause: error });

/** The stored state, checked to be of this chain, or a first one. Undefined while the chain has no start block. */
async function openState(
  db: Db,
  chain: Chain,
  { startBlock, sameChain }: { startBlock: bigint; sameChain: SameChain },
): Promise<IndexState | undefined> {
  const stored = await loadState(db, chain.name);
  if (stored !== undefined) {
    await sameChain.assert(chain, stored.genesis);
    return stored;
  }
  const first = await genesisState(chain, startBlock);
  if (first !== undefined) await db.tx((tx) => createState(tx, chain.name, first));
  return first;
}

function tooDeep(
  chain: string,
  { number, known, found }: { number: bigint; known: Hex; found: Hex },
  fork: KnownBlock | undefined,
): LockstepError {
  const last = fork ? `the last block that still stands is ${fork.number}, ${fork.hash}` : "no recorded block stands";
  const words = `${chain} dropped its final block ${number}: recorded ${known}, now ${found}; ${last}`;
  const details = { chain, number, known, found, fork: fork?.number, fork_hash: fork?.hash };
  return new LockstepError("reorg-too-deep", words, { details });
}

const dropAbove = (state: IndexState, ancestor: KnownBlock): IndexState => ({
  ...state,
  known: state.known.filter(({ number }) => number <= ancestor.number),
});
