import type { Hex } from "../kernel/codec.ts";
import type { EndpointState } from "./health.ts";
import type { StateProof, StateQuestion } from "./verifyState.ts";

export type Block = {
  readonly number: bigint;
  readonly hash: Hex;
  readonly parentHash: Hex;
  readonly timestamp: bigint;
  /** Bloom filter of the block's logs, where the node gives one: shows that an empty answer hides something. */
  readonly logsBloom?: Hex;
};

export type ChainLog = {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly transactionHash: Hex;
  readonly logIndex: number;
};

export type Receipt = {
  readonly transactionHash: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly status: "success" | "reverted";
  readonly gasUsed: bigint;
  /** Wei a gas that was paid, where the node says so. */
  readonly effectiveGasPrice?: bigint | undefined;
};

export type Fees = { readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint };

/** What the chain's newest blocks asked and got, in wei a gas. */
type FeeMarket = {
  /** Base fee of the next block. */
  readonly nextBaseFee: bigint;
  /** What nine of ten transactions of the last twelve blocks paid at most. */
  readonly high: bigint;
};

/** Fees to begin with, and the market they come from where the chain tells. */
export type FeeEstimate = Fees & { readonly market?: FeeMarket };

/** When a block counts as final: a number of blocks on top of it, or the chain's own tag. */
export type FinalityPolicy =
  | { readonly kind: "blocks"; readonly blocks: number }
  | { readonly kind: "safe" | "finalized" };

export type CallRequest = {
  readonly from?: Hex;
  readonly to: Hex;
  readonly data?: Hex;
  readonly value?: bigint;
  readonly gas?: bigint;
  /** Words of storage that the call sees instead of what is there: account → slot → value. Not every node can. */
  readonly overrides?: Readonly<Record<Hex, Readonly<Record<Hex, Hex>>>>;
};

/** A chain that may be able to tell about new heads and about its endpoints. */
export type WatchableChain = Chain & Partial<Pick<ChainAccess, "watchHeads" | "endpoints">>;

/** How one endpoint of a chain is. */
export type EndpointStatus = {
  /** Its host. The rest of its URL may hold a key and is never shown. */
  readonly endpoint: string;
  readonly state: EndpointState;
  readonly usable: boolean;
  /** Why it is not healthy, in a stable code. */
  readonly reason?: string;
  /** Milliseconds of an HTTP request, on average. */
  readonly latencyMs?: number;
  /** Milliseconds since 1970 of its last good answer. */
  readonly lastGoodAt?: number;
  /** The head that it named last. */
  readonly head?: bigint;
  /** Where it offers one: whether it tells about new blocks at present. `down` also when another endpoint's is used. */
  readonly socket?: "live" | "down";
};

/** Which logs: of a range of blocks, both ends included, and of these contracts. */
export type LogFilter = {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
  readonly addresses: readonly Hex[];
  /** Only these events, by the selectors that their first topics are. */
  readonly events?: readonly Hex[];
};

/**
 * One chain as this process sees it. Every answer is validated; a failed request throws `chain-unreachable` or
 * `chain-answer-invalid`, a revert throws `call-reverted` with the decoded custom error.
 */
export type Chain = {
  readonly name: string;
  readonly chainId: number;
  /**
   * Hash of block 0: tells a chain that was started anew from the one that was there before. Where that is known and an
   * endpoint shows another, it is what most of the endpoints show. Throws `chain-no-agreement` where there is no such.
   */
  genesis(known?: Hex): Promise<Hex>;
  /** A block by number or tag, undefined when the chain has none. `final` follows the chain's finality policy. */
  block(at: bigint | "latest" | "final"): Promise<Block | undefined>;
  logs(filter: LogFilter): Promise<ChainLog[]>;
  receipt(transactionHash: Hex): Promise<Receipt | undefined>;
  /** `eth_call`; `at` defaults to the latest block. */
  call(request: CallRequest, at?: bigint | "pending"): Promise<Hex>;
  account(address: Hex, at?: bigint): Promise<{ balance: bigint; nonce: number; hasCode: boolean }>;
  fees(): Promise<FeeEstimate>;
  /** Hands signed bytes to the chain. "already known" is success; a refusal throws `transaction-refused`. */
  send(signed: Hex): Promise<Hex>;
};

/**
 * State right after a block, checked from the block's hash down. `at` is the chain's final block or the number of an
 * earlier one; a number above the final block throws `block-not-final`. An endpoint whose answer does not hold is left
 * for the next one; when none gives a better one, that throws `chain-answer-invalid`. A node that no longer keeps the
 * state of the block refuses: `chain-request-refused`.
 */
export type ProveState = (question: StateQuestion, at: "final" | bigint) => Promise<StateProof>;

/** A transaction as its block names it: who used which nonce. */
export type BlockTransaction = {
  readonly hash: Hex;
  readonly from: Hex;
  readonly nonce: number;
  /** What it calls; undefined for one that makes a contract. */
  readonly call?: { readonly to: Hex; readonly data: Hex; readonly value: bigint };
};

/** What `createChain` makes: the chain, and what only some need from it. */
export type ChainAccess = Chain & {
  /** How its endpoints are, in the order of the configuration. */
  endpoints(): EndpointStatus[];
  /**
   * Calls back when there may be a new head, at once where a node tells and every `pollMs` where none does. It only
   * wakes: it may come for nothing, and one may get lost. The answer ends it.
   */
  watchHeads(onHead: () => void): () => void;
  /** Throws `chain-id-mismatch` when an endpoint that answers belongs to another chain than configured. */
  verifyIdentity(): Promise<void>;
  readonly prove: ProveState;
  /** The nonce after those of all transactions that any endpoint knows of, waiting ones too: pools differ. */
  pendingNonce(address: Hex): Promise<number>;
  /** One word of an account's storage, at the latest block unless told. */
  storage(address: Hex, slot: Hex, at?: bigint): Promise<Hex>;
  /** Transactions of a block in order, undefined when the chain has no such block. */
  transactions(block: bigint): Promise<BlockTransaction[] | undefined>;
};
