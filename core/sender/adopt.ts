import type { BlockTransaction, Receipt } from "../chain/chain.ts";
import type { KeyStore } from "../chain/keys.ts";
import type { Db, Tx } from "../db/db.ts";
import type { EventStore } from "../events/store.ts";
import { LockstepError } from "../kernel/errors.ts";
import { callOf } from "./attempts.ts";
import { inChunks, type SenderChain } from "./context.ts";
import { givesWay } from "./flight.ts";
import { type Outcome, saveOutcomes } from "./outcomes.ts";
import { loadOpen, type OpenIntent, saveFound } from "./rows.ts";
import type { Call, CallBuilder } from "./sender.ts";

/** What was found of transactions that this store never signed. */
export type Adopted = {
  /** Intents that they had done already. */
  readonly done: number;
  /** Intents whose nonces they had taken. */
  readonly moved: number;
  /** Those that no intent here asks for. */
  readonly strange: number;
};

/** Finds out what accounts did that this store does not know, because it was restored from a backup of before. */
export type Adoption = {
  /**
   * `transactions`: those of managed accounts in blocks that count as final, oldest first. What an intent asks for and one of
   * them has done is done: it ends with its receipt, and is not sent again. `also` is written together with that.
   */
  adopt(
    chain: SenderChain,
    transactions: readonly BlockTransaction[],
    also: (tx: Tx) => Promise<void>,
  ): Promise<Adopted>;
};

type Match = { readonly transaction: BlockTransaction; readonly open: OpenIntent; readonly isCall: boolean };

export function createAdoption(deps: {
  db: Db;
  store: EventStore;
  keyStore: Pick<KeyStore, "names" | "address">;
  builders: Readonly<Record<string, CallBuilder>>;
}): Adoption {
  const { db, store, keyStore, builders } = deps;
  const accountOf = new Map(keyStore.names().map((name) => [keyStore.address(name).toLowerCase(), name]));

  async function unknownOf(transactions: readonly BlockTransaction[]): Promise<BlockTransaction[]> {
    const hashes = transactions.map(({ hash }) => hash);
    const rows = await db.query<{ hash: string }>("SELECT hash FROM sender_attempt WHERE hash = ANY($1)", [hashes]);
    const known = new Set(rows.map(({ hash }) => hash));
    return transactions.filter(({ hash }) => !known.has(hash));
  }

  return {
    async adopt(chain, transactions, also) {
      const unknown = transactions.length === 0 ? [] : await unknownOf(transactions);
      const open = unknown.length === 0 ? [] : await loadOpen(db, chain.name);
      const calls = new Map(
        await inChunks(open, async ({ intent }) => [intent.id, await callOf(intent, builders)] as const),
      );
      const matches = matchAll(unknown, open, calls, (from) => accountOf.get(from.toLowerCase()) ?? "");
      const outcomes = await inChunks(matches, async (match) =>
        outcomeOf(match, await chain.receipt(match.transaction.hash)),
      );
      const found = matches
        .filter(({ isCall }) => isCall)
        .map(({ open: { intent }, transaction }) => ({
          ...{ id: intent.id, hash: transaction.hash, nonce: transaction.nonce },
          account: accountOf.get(transaction.from.toLowerCase()) ?? "",
        }));
      await db.tx(async (tx) => {
        if (found.length > 0) await saveFound(tx, found);
        if (outcomes.length > 0) await saveOutcomes(tx, store, outcomes);
        await also(tx);
      });
      const moved = matches.length - found.length;
      return { done: found.length, moved, strange: unknown.length - matches.length };
    },
  };
}

/**
 * A signed nonce belongs to its intent: what is there is the same call, or it only used the nonce up. Anything else is
 * what a queued intent asks for, or one whose nonce was used up before; the first that asked of those that ask for the same.
 */
function matchAll(
  transactions: readonly BlockTransaction[],
  open: readonly OpenIntent[],
  calls: ReadonlyMap<string, Call>,
  accountOf: (from: BlockTransaction["from"]) => string,
): Match[] {
  const matches = new Map<string, Match>();
  for (const transaction of transactions) {
    const account = accountOf(transaction.from);
    const fits = ({ intent }: OpenIntent) => isSameCall(calls.get(intent.id), transaction.call);
    const holder = open.find(
      (each) => each.nonce === transaction.nonce && each.intent.account === account && !matches.has(each.intent.id),
    );
    const waits = ({ nonce, intent, pooled }: OpenIntent) => {
      const match = matches.get(intent.id);
      return (match ? !match.isCall : nonce === undefined) && (pooled || intent.account === account);
    };
    const match = holder ?? open.find((each) => waits(each) && fits(each));
    if (match) matches.set(match.intent.id, { transaction, open: match, isCall: fits(match) });
  }
  return [...matches.values()];
}

const isSameCall = (wanted: Call | undefined, made: Call | undefined): boolean =>
  wanted !== undefined &&
  made !== undefined &&
  wanted.to.toLowerCase() === made.to.toLowerCase() &&
  wanted.data.toLowerCase() === made.data.toLowerCase() &&
  wanted.value === made.value;

function outcomeOf({ transaction, open, isCall }: Match, receipt: Receipt | undefined): Outcome {
  const { intent, events, voiding } = open;
  // Its caller may have been told so, and have asked for something else.
  if (!isCall && voiding && !givesWay(voiding.reason)) {
    return { kind: "abandoned", intent, events, reason: voiding.reason, detail: voiding.detail };
  }
  if (!isCall) return { kind: "moved", intent, events };
  if (!receipt) {
    throw new LockstepError("chain-answer-invalid", `${intent.chain} shows a transaction and no receipt of it`, {
      details: { chain: intent.chain, transaction: transaction.hash },
    });
  }
  const fees = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
  const attempt = { hash: transaction.hash, kind: "call" as const, fees, sealed: Buffer.alloc(0) };
  return { kind: "finalized", intent, events, attempt, receipt };
}
