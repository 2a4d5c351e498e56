import { type Hex, keccak256, numberToHex, parseTransaction, serializeTransaction, stringToHex } from "viem";
import type { Block, ChainAccess, Receipt } from "#core/chain/chain.ts";
import type { KeyStore } from "#core/chain/keys.ts";
import { LockstepError } from "#core/kernel/errors.ts";

type Pooled = { hash: Hex; from: Hex; nonce: number; maxFee: bigint; tip: bigint; data: Hex };
type Mined = Block & { readonly transactions: readonly Pooled[] };

/** What becomes of the next transaction that is sent. */
export type SendFault = "silent" | "loud" | "refused";

/** A chain with a mempool in memory, by the rules that nodes have, and everything that can happen to it. */
export type ModelChain = Omit<ChainAccess, "prove"> & {
  mine(): void;
  /** A block with a time of its own, in Unix seconds; others have their number for one. */
  mineAt(time: number): void;
  /** Drops up to so many blocks that are not final; their transactions go back to the pool, or are gone. */
  reorganise(depth: number, back: boolean): void;
  /** Drops so many blocks, final ones too, with their transactions; empty ones take their places. */
  forget(depth: number): void;
  dropPool(): void;
  failSends(faults: readonly SendFault[]): void;
  setBaseFee(wei: bigint): void;
  setBalance(of: Hex, wei: bigint): void;
  /** A transaction that somebody else signed with an account's key: in a block at once, or behind all others. */
  foreign(from: Hex, where: "block" | "pool"): void;
  /** Transactions in blocks, by nonce of their account. */
  canonical(): readonly Pooled[];
  waiting(): readonly Pooled[];
};

const names = ["alice", "bob"] as const;
const addressOf = (index: number): Hex => numberToHex(index + 0xa0, { size: 20 });

/** Signs in no time: the signature only says which account it was. */
export const modelKeys: KeyStore = {
  names: () => names,
  address: (name) => addressOf(names.indexOf(name as "alice")),
  async signTransaction(name, transaction) {
    const r = numberToHex(names.indexOf(name as "alice") + 1, { size: 32 });
    const raw = serializeTransaction(
      { ...transaction, type: "eip1559" },
      { r, s: numberToHex(1, { size: 32 }), yParity: 0 },
    );
    return { raw, hash: keccak256(raw) };
  },
  signTypedData: () => Promise.reject(new Error("a sender signs transactions only")),
};

/** Blocks with `lag` on top are final. */
export function createModelChain(name: string, chainId: number, lag: number): ModelChain {
  const blocks: Mined[] = [];
  let pool: Pooled[] = [];
  let salt = 0;
  let foreigners = 0;
  let baseFee = 10n ** 9n;
  const balances = new Map<Hex, bigint>();
  let finalHeight = 0;
  let faults: SendFault[] = [];

  const height = () => blocks.length - 1;
  const append = (transactions: readonly Pooled[], time?: number) => {
    const number = BigInt(blocks.length);
    const timestamp = time === undefined ? number : BigInt(Math.floor(time));
    const hash = keccak256(stringToHex(`${name} ${number} ${salt}`));
    blocks.push({ number, hash, parentHash: blocks.at(-1)?.hash ?? hash, timestamp, transactions });
    finalHeight = Math.max(finalHeight, height() - lag);
    pool = pool.filter((each) => each.nonce >= nonceOf(each.from));
  };
  const nonceOf = (from: Hex, at = height()) =>
    blocks.slice(0, at + 1).flatMap(({ transactions }) => transactions.filter((each) => each.from === from)).length;
  append([]);

  /** What a block takes: per account in nonce order, while they pay. */
  function takeable(): Pooled[] {
    const taken: Pooled[] = [];
    for (const from of new Set(pool.map((each) => each.from))) {
      for (let nonce = nonceOf(from); ; nonce++) {
        const next = pool.find((each) => each.from === from && each.nonce === nonce && each.maxFee >= baseFee);
        if (next === undefined) break;
        taken.push(next);
      }
    }
    return taken;
  }

  function accept(raw: Hex): void {
    const { nonce = 0, maxFeePerGas = 0n, maxPriorityFeePerGas = 0n, data = "0x", r } = parseTransaction(raw);
    const from = addressOf(Number(r) - 1);
    const one = { hash: keccak256(raw), from, nonce, maxFee: maxFeePerGas, tip: maxPriorityFeePerGas, data };
    if (nonce < nonceOf(from)) throw refusal(name, "nonce-too-low");
    const old = pool.find((each) => each.from === from && each.nonce === nonce);
    if (old?.hash === one.hash) return;
    const pays = old === undefined || (one.maxFee * 10n >= old.maxFee * 11n && one.tip * 10n >= old.tip * 11n);
    if (!pays) throw refusal(name, "underpriced");
    pool = [...pool.filter((each) => each !== old), one];
  }

  const receiptOf = (hash: Hex): Receipt | undefined => {
    const block = blocks.find(({ transactions }) => transactions.some((each) => each.hash === hash));
    const rest = { status: "success", gasUsed: 21_000n, effectiveGasPrice: baseFee } as const;
    return block && { transactionHash: hash, blockNumber: block.number, blockHash: block.hash, ...rest };
  };

  return {
    ...{ name, chainId, watchHeads: () => () => undefined, endpoints: () => [] },
    genesis: async () => blocks[0]?.hash ?? "0x",
    block: async (at) => blocks[at === "latest" ? height() : at === "final" ? finalHeight : Number(at)],
    endpoints: () => [],
    watchHeads: () => () => undefined,
    logs: async () => [],
    receipt: async (hash) => receiptOf(hash),
    call: async () => "0x",
    storage: async () => numberToHex(0, { size: 32 }),
    account: async (address, at) => {
      const nonce = nonceOf(address, typeof at === "bigint" ? Number(at) : height());
      return { balance: balances.get(address) ?? 10n ** 24n, nonce, hasCode: false };
    },
    pendingNonce: async (address) => nonceOf(address) + pool.filter(({ from }) => from === address).length,
    fees: async () => {
      const market = { nextBaseFee: baseFee, high: baseFee + 2n };
      return { maxFeePerGas: 2n * baseFee + 2n, maxPriorityFeePerGas: 2n, market };
    },
    async send(raw) {
      const fault = faults.shift();
      if (fault === "loud") throw new LockstepError("chain-unreachable", "lost on the way");
      if (fault === "refused") throw refusal(name, "other");
      if (fault === undefined) accept(raw);
      return keccak256(raw);
    },
    verifyIdentity: async () => undefined,
    transactions: async (number) => blocks[Number(number)]?.transactions.slice(),
    mine: () => append(takeable()),
    mineAt: (time) => append(takeable(), time),
    reorganise(depth, back) {
      salt++;
      const gone = blocks.splice(Math.max(finalHeight + 1, blocks.length - depth));
      const lost = gone.flatMap(({ transactions }) => transactions);
      if (back)
        pool = [...lost, ...pool.filter(({ from, nonce }) => !lost.some((l) => l.from === from && l.nonce === nonce))];
      for (const _ of gone) append(back ? [] : takeable());
    },
    forget(depth) {
      salt++;
      for (const _ of blocks.splice(Math.max(1, blocks.length - depth))) append([]);
    },
    dropPool: () => {
      pool = [];
    },
    failSends: (some) => {
      faults = [...some];
    },
    setBaseFee: (wei) => {
      baseFee = wei;
    },
    setBalance: (of, wei) => {
      balances.set(of, wei);
    },
    foreign(from, where) {
      const own = pool.filter((each) => each.from === from).map(({ nonce }) => nonce);
      const nonce = where === "block" ? nonceOf(from) : Math.max(nonceOf(from) - 1, ...own) + 1;
      const hash = keccak256(stringToHex(`foreign ${name} ${foreigners++}`));
      const one = { hash, from, nonce, maxFee: 10n ** 12n, tip: 10n ** 9n, data: "0x" as const };
      if (where === "block") append([one]);
      else pool = [...pool, one];
    },
    canonical: () => blocks.flatMap(({ transactions }) => transactions),
    waiting: () => pool,
  };
}

const refusal = (chain: string, reason: string) =>
  new LockstepError("transaction-refused", `${chain} refused a transaction (${reason})`, {
    details: { chain, reason },
  });
