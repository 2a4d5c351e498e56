import type { Hex } from "../kernel/codec.ts";
import type { Block, BlockTransaction, CallRequest, ChainLog, FinalityPolicy, LogFilter, Receipt } from "./chain.ts";
import type { Answer } from "./endpoint.ts";
import { accountAt, blockAt, callAt, logsOf, receiptOf, transactionsOf } from "./questions.ts";
import type { Rpc } from "./rpc.ts";

export type AccountState = { readonly balance: bigint; readonly nonce: number; readonly hasCode: boolean };

/** What is read of a chain at blocks. Who reads decides how much it takes to believe an answer. */
export type Reads = {
  block(height: bigint): Promise<Block | undefined>;
  latest(): Promise<Block | undefined>;
  final(): Promise<Block | undefined>;
  logs(filter: LogFilter): Promise<ChainLog[]>;
  receipt(transactionHash: Hex): Promise<Receipt | undefined>;
  transactions(height: bigint): Promise<BlockTransaction[] | undefined>;
  callAt(request: CallRequest, height: bigint): Promise<Answer<Hex>>;
  accountAt(address: Hex, height: bigint): Promise<AccountState>;
};

/** Reads that believe the endpoint that answers. */
export function createReads(rpc: Rpc, finality: FinalityPolicy): Reads {
  const latest = () => rpc.read(blockAt("latest"));
  return {
    block: (height) => rpc.read(blockAt(height)),
    latest,
    async final() {
      if (finality.kind !== "blocks") return rpc.read(blockAt(finality.kind));
      const head = await latest();
      if (head === undefined || finality.blocks === 0) return head;
      const height = head.number - BigInt(finality.blocks);
      return height < 0n ? undefined : rpc.read(blockAt(height));
    },
    logs: (filter) => rpc.read(logsOf(filter)),
    receipt: (transactionHash) => rpc.read(receiptOf(transactionHash)),
    transactions: (height) => rpc.read(transactionsOf(height)),
    callAt: (request, height) => rpc.ask(callAt(request, height)),
    accountAt: (address, height) => readAccount(rpc, address, height),
  };
}

/** The highest that an endpoint gives. Throws what one failed with where none answers. */
export async function readPendingNonce(rpc: Pick<Rpc, "askAll" | "read">, address: Hex): Promise<number> {
  const { nonce } = accountAt(address, "pending");
  const answers = await Promise.allSettled(rpc.askAll(nonce));
  const found = answers.flatMap((each) =>
    each.status === "fulfilled" && "value" in each.value ? [each.value.value] : [],
  );
  return found.length > 0 ? Math.max(...found) : rpc.read(nonce);
}

/** The state of an account as one endpoint gives it. */
export async function readAccount(rpc: Pick<Rpc, "read">, address: Hex, at: bigint | "latest"): Promise<AccountState> {
  const questions = accountAt(address, at);
  const [balance, nonce, code] = await Promise.all([
    rpc.read(questions.balance),
    rpc.read(questions.nonce),
    rpc.read(questions.code),
  ]);
  return { balance, nonce, hasCode: code !== "0x" };
}
