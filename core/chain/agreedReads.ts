import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Block, ChainLog, FinalityPolicy } from "./chain.ts";
import type { Answer, Endpoint, Question } from "./endpoint.ts";
import { type BlockTag, blockAt, callAt, logsOf, receiptOf, transactionsOf } from "./questions.ts";
import { type Reads, readAccount } from "./reads.ts";
import { isRevert } from "./refusal.ts";
import { refusal } from "./rpc.ts";
import { type Ballot, noAgreement, type Votes } from "./votes.ts";

/** Milliseconds that heads of further endpoints are waited for once enough have named theirs. */
const graceMs = 150;

type View = { readonly endpoint: Endpoint; readonly block: Block };

/**
 * Reads that count only when enough endpoints agree, each at one block. Heads are compared at the highest block that
 * enough endpoints have; logs together with the hash of the last block of their range, so that an endpoint which does not
 * have that block yet casts no vote.
 */
export function createAgreedReads(deps: {
  readonly chain: string;
  readonly votes: Votes;
  readonly finality: FinalityPolicy;
  readonly clock: Clock;
}): Reads {
  const { chain, votes, finality, clock } = deps;

  /** Blocks at this tag of those who answer soon. The second figure is how many had no such block. */
  async function views(at: BlockTag): Promise<{ found: View[]; missing: number }> {
    const found: View[] = [];
    let missing = 0;
    const enough = new AbortController();
    const asked = votes.voters().map(async (endpoint) => {
      const block = await one(chain, endpoint, blockAt(at));
      if (block === undefined) missing += 1;
      else found.push({ endpoint, block });
      if (found.length >= votes.needed) enough.abort();
    });
    const all = Promise.allSettled(asked);
    const fewest = new Promise<void>((resolve) => {
      enough.signal.addEventListener("abort", () => resolve(clock.sleep(graceMs)), { once: true });
    });
    await Promise.race([all, fewest]);
    return { found: [...found], missing };
  }

  /** The block `depth` below the highest one at this tag that enough endpoints have. */
  async function agreedHead(at: BlockTag, depth: bigint, isFinal: boolean): Promise<Block | undefined> {
    const { found, missing } = await views(at);
    const lowest = found.map(({ block }) => block.number).toSorted((a, b) => (a > b ? -1 : 1))[votes.needed - 1];
    if (lowest === undefined) {
      if (missing > 0) return undefined;
      throw noAgreement(chain, `its ${at} block`, votes.needed, found);
    }
    const height = lowest - depth;
    if (height < 0n) return undefined;
    if (isFinal) votes.finalUpTo(height);
    const own = new Map(found.map(({ endpoint, block }) => [endpoint, block]));
    return votes.take(
      blockBallot(height, own),
      found.filter(({ block }) => block.number >= height).map(({ endpoint }) => endpoint),
    );
  }

  function blockBallot(height: bigint, own: ReadonlyMap<Endpoint, Block> = new Map()): Ballot<Block> {
    return {
      method: "eth_getBlockByNumber",
      async ask(endpoint) {
        const known = own.get(endpoint);
        return known?.number === height ? known : one(chain, endpoint, blockAt(height));
      },
      // Some nodes leave the filter out.
      essence: ({ number, hash, parentHash, timestamp }) => [number, hash, parentHash, timestamp],
      heightOf: ({ number }) => number,
    };
  }

  async function logsAt(endpoint: Endpoint, question: Question<ChainLog[]>, to: bigint) {
    const [block, logs] = await Promise.all([one(chain, endpoint, blockAt(to)), one(chain, endpoint, question)]);
    return block && { upTo: block.hash, logs };
  }

  return {
    block: (height) => votes.take(blockBallot(height)),
    latest: () => agreedHead("latest", 0n, false),
    final: () =>
      finality.kind === "blocks"
        ? agreedHead("latest", BigInt(finality.blocks), true)
        : agreedHead(finality.kind, 0n, true),
    async logs(filter) {
      const { toBlock } = filter;
      const question = logsOf(filter);
      const agreed = await votes.take({
        method: question.method,
        ask: (endpoint) => logsAt(endpoint, question, toBlock),
        heightOf: () => toBlock,
      });
      if (agreed !== undefined) return agreed.logs;
      throw noAgreement(chain, question.method, votes.needed, []);
    },
    receipt(transactionHash) {
      const question = receiptOf(transactionHash);
      return votes.take({
        method: question.method,
        ask: (endpoint) => one(chain, endpoint, question),
        // Some nodes leave the price out.
        essence: ({ effectiveGasPrice: _, ...receipt }) => receipt,
        heightOf: ({ blockNumber }) => blockNumber,
      });
    },
    transactions(height) {
      const question = transactionsOf(height);
      return votes.take({
        method: question.method,
        ask: (endpoint) => one(chain, endpoint, question),
        heightOf: () => height,
      });
    },
    async callAt(request, height) {
      const question = callAt(request, height);
      const agreed = await votes.take<Answer<`0x${string}`>>({
        method: question.method,
        async ask(endpoint) {
          const answer = await endpoint.ask(question);
          if ("value" in answer || isRevert(answer.refused)) return answer;
          throw refusal(chain, question.method, answer);
        },
        // Nodes have different words for the same revert.
        essence: (answer) => ("value" in answer ? answer.value : { reverts: answer.refused.data ?? null }),
        heightOf: () => height,
      });
      if (agreed !== undefined) return agreed;
      throw noAgreement(chain, question.method, votes.needed, []);
    },
    async accountAt(address, height) {
      const agreed = await votes.take({
        method: "eth_getBalance",
        ask: (endpoint) => readAccount({ read: (question) => one(chain, endpoint, question) }, address, height),
        heightOf: () => height,
      });
      if (agreed !== undefined) return agreed;
      throw new LockstepError("chain-no-agreement", `no endpoint of ${chain} has the account at block ${height}`);
    },
  };
}

/** A read at one endpoint. */
async function one<T>(chain: string, endpoint: Endpoint, question: Question<T>): Promise<T> {
  const answer = await endpoint.ask(question);
  if ("value" in answer) return answer.value;
  throw refusal(chain, question.method, answer);
}
