import type { Abi } from "viem";
import type { ChainConfig } from "../config/chains.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import { keccak256 } from "../kernel/keccak.ts";
import { sharedInTurn } from "../kernel/turn.ts";
import type { Log } from "../observe/log.ts";
import { createAgreedReads } from "./agreedReads.ts";
import type { CallRequest, ChainAccess, FinalityPolicy } from "./chain.ts";
import type { Answer, EndpointEvent } from "./endpoint.ts";
import { createEndpoints } from "./endpoints.ts";
import { estimateFees } from "./estimate.ts";
import { firstBlockOfMost } from "./firstBlock.ts";
import { createHeads } from "./heads.ts";
import { createHeadTimes } from "./headTimes.ts";
import { createStateProver } from "./proveState.ts";
import { callAt, feeHistory, sendRaw, storageAt } from "./questions.ts";
import { createReads, readAccount, readPendingNonce } from "./reads.ts";
import { classifyRefusal, isRevert, printable, revertError } from "./refusal.ts";
import { createRpc, refusal } from "./rpc.ts";
import { createVotes } from "./votes.ts";

export type ChainDeps = {
  readonly log: Log;
  readonly clock: Clock;
  /** ABIs whose custom errors reverts are decoded with. */
  readonly errorsAbi?: Abi;
  /** Milliseconds until a silent endpoint counts as dead; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Further tries of a read, each at the next endpoint; 2 by default. */
  readonly retries?: number;
  /** Milliseconds between two looks at how all endpoints are; 2,000 by default. */
  readonly probeMs?: number;
  /** Milliseconds between two questions to a socket whether it is alive; 5,000 by default. */
  readonly socketCheckMs?: number;
  /** Hears what happens at the endpoints. Must not throw. */
  readonly onEndpointEvent?: (event: EndpointEvent) => void;
  /** Hears of each new head how many milliseconds its timestamp is ahead of the clock, negative when behind. */
  readonly onHeadOffset?: (chain: string, ms: number) => void;
};

type ChainSettings = Pick<ChainConfig, "chainId" | "endpoints" | "finality"> &
  Partial<Pick<ChainConfig, "agreement" | "maxLag" | "pollMs">> & { readonly name: string };

/** A chain over JSON-RPC. Nothing is requested before the first call. */
export function createChain(config: ChainSettings, deps: ChainDeps): ChainAccess {
  const { name, chainId } = config;
  const { clock, log, retries = 2, timeoutMs = 5_000 } = deps;
  const finality = finalityPolicy(config.finality);
  const needed = config.agreement ?? 1;
  const endpoints = createEndpoints({
    ...{ chain: name, chainId, endpoints: config.endpoints, maxLag: config.maxLag ?? 5, votes: needed },
    ...{ timeoutMs, probeMs: deps.probeMs ?? 2_000, clock, log },
    onEvent: deps.onEndpointEvent ?? (() => undefined),
  });
  const rpc = createRpc({ chain: name, endpoints, retries, log });
  const reads =
    needed === 1
      ? createReads(rpc, finality)
      : createAgreedReads({
          ...{ chain: name, finality, clock },
          votes: createVotes({ chain: name, endpoints, needed, retries }),
        });
  const heads = createHeads({
    ...{ chain: name, chainId, endpoints, clock, log, timeoutMs },
    ...{ pollMs: config.pollMs ?? 50, checkMs: deps.socketCheckMs ?? 5_000 },
  });

  const headSeen = createHeadTimes({ clock, onOffset: (ms) => deps.onHeadOffset?.(name, ms) });
  async function latest() {
    const head = await reads.latest();
    headSeen(head);
    return head;
  }
  // Last checks of many ask for the same at once.
  const block = sharedInTurn((at: bigint | "latest" | "final") =>
    at === "final" ? reads.final() : at === "latest" ? latest() : reads.block(at),
  );
  const fees = sharedInTurn(async (_of: "now") => estimateFees(await rpc.read(feeHistory)));

  async function call(request: CallRequest, at: bigint | "pending" | "latest" = "latest"): Promise<Hex> {
    const answer = await (typeof at === "bigint" ? reads.callAt(request, at) : rpc.ask(callAt(request, at)));
    if ("value" in answer) return answer.value;
    if (isRevert(answer.refused)) throw revertError(name, answer.refused, deps.errorsAbi ?? []);
    throw refusal(name, "eth_call", answer);
  }

  async function send(signed: Hex): Promise<Hex> {
    const expected = keccak256(signed);
    const outcomes = rpc
      .askAll(sendRaw(signed, expected))
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
    async genesis(known) {
      const block = await reads.block(0n);
      const isOdd = known !== undefined && block !== undefined && block.hash !== known;
      if (isOdd && endpoints.all.length > 1) return firstBlockOfMost(name, rpc);
      if (block !== undefined) return block.hash;
      throw new LockstepError("chain-answer-invalid", `${name} has no first block`, { details: { chain: name } });
    },
    block,
    async logs(filter) {
      return filter.addresses.length === 0 || filter.toBlock < filter.fromBlock ? [] : reads.logs(filter);
    },
    receipt: reads.receipt,
    call,
    account: (address, at) =>
      typeof at === "bigint" ? reads.accountAt(address, at) : readAccount(rpc, address, at ?? "latest"),
    pendingNonce: (address) => readPendingNonce(rpc, address),
    fees: () => fees("now"),
    send,
    prove: createStateProver({ chain: name, rpc, block }),
    verifyIdentity: () => rpc.verify(),
    transactions: reads.transactions,
    storage: (address, slot, at) => rpc.read(storageAt(address, slot, at ?? "latest")),
    endpoints: () => endpoints.status().map((status, index) => withSocket(status, heads.socketAt(index))),
    watchHeads: heads.watch,
  };
}

const withSocket = <S extends object>(status: S, socket: "live" | "down" | undefined) =>
  socket === undefined ? status : { ...status, socket };

function finalityPolicy(finality: ChainConfig["finality"]): FinalityPolicy {
  return typeof finality === "string" ? { kind: finality } : { kind: "blocks", blocks: finality.blocks };
}

/** The hash of bytes that the chain has now, or an error. */
function acceptedHash(chain: string, expected: Hex, answer: Answer<Hex>): Hex {
  if ("value" in answer) return expected;
  const reason = classifyRefusal(answer.refused);
  if (reason === "known" || reason === "reverted") return expected;
  throw new LockstepError(
    "transaction-refused",
    `${chain} refused a transaction (${reason}): ${printable(answer.refused.message)}`,
    { details: { chain, reason, rpc_code: answer.refused.code } },
  );
}
