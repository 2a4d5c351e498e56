import { type Abi, keccak256, numberToHex } from "viem";
import { z } from "zod";
import type { ChainConfig } from "../config/chains.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { Block, CallRequest, ChainAccess, ChainLog, FinalityPolicy } from "./chain.ts";
import { estimateFees, feeHistoryBlocks, feePercentiles } from "./estimate.ts";
import { createStateProver } from "./proveState.ts";
import { classifyRefusal, isRevert, printable, revertError } from "./refusal.ts";
import { type Answer, createRpc } from "./rpc.ts";
import {
  quantity,
  wireBlock,
  wireCount,
  wireFeeHistory,
  wireHash,
  wireHex,
  wireLog,
  wireReceipt,
  wireTransactions,
} from "./wire.ts";

export type ChainDeps = {
  readonly log: Log;
  readonly clock: Clock;
  /** ABIs whose custom errors reverts are decoded with. */
  readonly errorsAbi?: Abi;
  /** Milliseconds until a silent endpoint counts as dead; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Further tries of a read, each at the next endpoint; 2 by default. */
  readonly retries?: number;
  readonly random?: () => number;
};

/** A chain over JSON-RPC. Nothing is requested before the first call. */
export function createChain(
  config: Pick<ChainConfig, "chainId" | "endpoints" | "finality"> & { readonly name: string },
  deps: ChainDeps,
): ChainAccess {
  const { name, chainId } = config;
  const errorsAbi = deps.errorsAbi ?? [];
  const finality = finalityPolicy(config.finality);
  const rpc = createRpc({
    chain: name,
    chainId,
    endpoints: config.endpoints,
    timeoutMs: deps.timeoutMs ?? 5_000,
    retries: deps.retries ?? 2,
    clock: deps.clock,
    log: deps.log,
    random: deps.random ?? Math.random,
  });

  const invalid = (method: string, what: string) =>
    new LockstepError("chain-answer-invalid", `${name} answered ${method} with ${what}`, {
      details: { chain: name, method },
    });

  async function readBlock(at: bigint | "latest" | "safe" | "finalized"): Promise<Block | undefined> {
    const tag = typeof at === "bigint" ? numberToHex(at) : at;
    const block = await rpc.read("eth_getBlockByNumber", [tag, false], wireBlock.nullable());
    if (block === null) return undefined;
    if (typeof at === "bigint" && block.number !== at) throw invalid("eth_getBlockByNumber", "another block");
    const { logsBloom, ...rest } = block;
    return logsBloom === undefined ? rest : { ...rest, logsBloom };
  }

  async function finalBlock(): Promise<Block | undefined> {
    if (finality.kind !== "blocks") return readBlock(finality.kind);
    const latest = await readBlock("latest");
    if (latest === undefined || finality.blocks === 0) return latest;
    const height = latest.number - BigInt(finality.blocks);
    return height < 0n ? undefined : readBlock(height);
  }

  const block = (at: bigint | "latest" | "final") => (at === "final" ? finalBlock() : readBlock(at));

  async function call(request: CallRequest, at: bigint | "pending" | "latest" = "latest"): Promise<Hex> {
    const params = [wireCall(request), blockTag(at), ...wireOverrides(request)];
    const answer = await rpc.ask("eth_call", params, wireHex);
    if ("value" in answer) return answer.value;
    if (isRevert(answer.refused)) throw revertError(name, answer.refused, errorsAbi);
    throw new LockstepError("chain-request-refused", `${name} refused a call: ${printable(answer.refused.message)}`, {
      details: { chain: name, method: "eth_call", rpc_code: answer.refused.code },
    });
  }

  async function send(signed: Hex): Promise<Hex> {
    const expected = keccak256(signed);
    const outcomes = rpc
      .askAll("eth_sendRawTransaction", [signed], wireHash)
      .map(async (answer) => acceptedHash(name, expected, await answer));
    try {
      return await Promise.any(outcomes);
    } catch (error) {
      const reasons: unknown[] = error instanceof AggregateError ? error.errors : [error];
      throw reasons.find((reason) => isLockstepError(reason, "transaction-refused")) ?? reasons[0];
    }
  }

  return {
    name,
    chainId,
    async genesis() {
      const block = await readBlock(0n);
      if (block === undefined) throw invalid("eth_getBlockByNumber", "no first block");
      return block.hash;
    },
    block,
    async logs({ fromBlock, toBlock, addresses }) {
      if (addresses.length === 0 || toBlock < fromBlock) return [];
      const filter = { fromBlock: numberToHex(fromBlock), toBlock: numberToHex(toBlock), address: addresses };
      const found = await rpc.read("eth_getLogs", [filter], z.array(wireLog));
      const wanted = new Set(addresses.map((address) => address.toLowerCase()));
      const strange = found.some(
        (log) => log.blockNumber < fromBlock || log.blockNumber > toBlock || !wanted.has(log.address.toLowerCase()),
      );
      if (strange) throw invalid("eth_getLogs", "logs that were not asked for");
      return found.map(({ removed: _, ...log }): ChainLog => log).sort(byPlace);
    },
    async receipt(transactionHash) {
      const receipt = await rpc.read("eth_getTransactionReceipt", [transactionHash], wireReceipt.nullable());
      if (receipt === null) return undefined;
      if (receipt.transactionHash !== transactionHash.toLowerCase()) {
        throw invalid("eth_getTransactionReceipt", "another receipt");
      }
      return receipt;
    },
    call,
    async account(address, at) {
      const params = [address, blockTag(at ?? "latest")];
      const [balance, nonce, code] = await Promise.all([
        rpc.read("eth_getBalance", params, quantity),
        rpc.read("eth_getTransactionCount", params, wireCount),
        rpc.read("eth_getCode", params, wireHex),
      ]);
      return { balance, nonce, hasCode: code !== "0x" };
    },
    async fees() {
      const params = [numberToHex(feeHistoryBlocks), "latest", feePercentiles];
      return estimateFees(await rpc.read("eth_feeHistory", params, wireFeeHistory));
    },
    send,
    prove: createStateProver({ chain: name, rpc, block }),
    verifyIdentity: () => rpc.verify(),
    storage: (address, slot, at) => rpc.read("eth_getStorageAt", [address, slot, blockTag(at ?? "latest")], wireHash),
    async transactions(block) {
      const params = [numberToHex(block), true];
      const found = await rpc.read("eth_getBlockByNumber", params, wireTransactions.nullable());
      return found?.transactions;
    },
  };
}

function finalityPolicy(finality: ChainConfig["finality"]): FinalityPolicy {
  return typeof finality === "string" ? { kind: finality } : { kind: "blocks", blocks: finality.blocks };
}

/** The hash of bytes that the chain has now, or an error. A lie about the hash would be followed for ever. */
function acceptedHash(chain: string, expected: Hex, answer: Answer<Hex>): Hex {
  if ("value" in answer) {
    if (answer.value === expected) return expected;
    throw new LockstepError("chain-answer-invalid", `${chain} accepted a transaction under another hash`, {
      details: { chain, method: "eth_sendRawTransaction" },
    });
  }
  const reason = classifyRefusal(answer.refused);
  if (reason === "known" || reason === "reverted") return expected;
  throw new LockstepError(
    "transaction-refused",
    `${chain} refused a transaction (${reason}): ${printable(answer.refused.message)}`,
    { details: { chain, reason, rpc_code: answer.refused.code } },
  );
}

const byPlace = (a: ChainLog, b: ChainLog) =>
  a.blockNumber === b.blockNumber ? a.logIndex - b.logIndex : a.blockNumber < b.blockNumber ? -1 : 1;

const blockTag = (at: bigint | string) => (typeof at === "bigint" ? numberToHex(at) : at);

function wireOverrides({ overrides }: CallRequest): unknown[] {
  if (overrides === undefined) return [];
  const entries = Object.entries(overrides).map(([address, stateDiff]) => [address, { stateDiff }]);
  return [Object.fromEntries(entries)];
}

function wireCall({ from, to, data, value, gas }: CallRequest): Record<string, Hex> {
  return {
    to,
    ...(from === undefined ? {} : { from }),
    ...(data === undefined ? {} : { data }),
    ...(value === undefined ? {} : { value: numberToHex(value) }),
    ...(gas === undefined ? {} : { gas: numberToHex(gas) }),
  };
}
