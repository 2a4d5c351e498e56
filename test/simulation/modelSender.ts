import { createHash } from "node:crypto";
import type { Hex } from "#core/kernel/codec.ts";
import type { CallBuilder, IntentGuard, IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { Crash } from "./crash.ts";
import type { ModelChain, ModelTransaction } from "./modelChain.ts";
import type { Effect } from "./modelContract.ts";
import type { Edge, ModelStore } from "./modelStore.ts";

/** What a sender keeps of an intent, so that a new process finds it. */
type Kept = {
  readonly request: IntentRequest;
  /** Signed once, and the same bytes ever after. */
  signed?: ModelTransaction;
  /** The guard has agreed, durably: bytes may have left. */
  released: boolean;
  /** Given up before its first byte left; `void` is what uses up its nonce. */
  abandoned?: { reason: "reverts" | "expired" | "refused"; detail: string };
};

/** The durable part of a sender; `step` is what a process does with it. */
export type ModelSender = {
  readonly port: Sender;
  /** How many intents there have been. */
  count(): number;
  /** One look at every open intent, in the order in which they came; one after the other, as with one account each. */
  step(parts: {
    guards: Readonly<Record<string, IntentGuard>>;
    builders: Readonly<Record<string, CallBuilder>>;
    edge: Edge;
    now(): number;
  }): Promise<void>;
};

export function createModelSender(deps: {
  chains: ReadonlyMap<string, ModelChain>;
  durable: Pick<ModelStore, "stage">;
  /** What a call does, as the model of the chain has it. */
  effectOf(request: IntentRequest, to: Hex, data: Hex): Effect;
}): ModelSender {
  const intents = new Map<string, Kept>();
  const chainOf = ({ chain }: IntentRequest) => {
    const found = deps.chains.get(chain);
    if (!found) throw new Error(`there is no chain ${chain}`);
    return found;
  };

  function statusOf(kept: Kept): IntentStatus {
    if (kept.abandoned) return { state: "abandoned", ...kept.abandoned };
    if (!kept.signed) return { state: "queued" };
    const found = chainOf(kept.request).find(kept.signed.hash);
    if (!found) return { state: kept.released ? "sent" : "signed" };
    const status = found.succeeded ? "success" : "reverted";
    const { hash } = kept.signed;
    const blockNumber = found.block.number;
    if (found.isFinal) return { state: "finalized", hash, status, blockNumber, gasUsed: 0n };
    return { state: "included", hash, status, blockNumber };
  }

  async function advance(
    kept: Kept,
    { guards, builders, edge, now }: Parameters<ModelSender["step"]>[0],
  ): Promise<void> {
    const { request } = kept;
    const chain = chainOf(request);
    if (kept.abandoned) return;
    if (!kept.released && request.notAfter !== undefined && BigInt(now()) > request.notAfter) {
      kept.abandoned = { reason: "expired", detail: `not sent by ${request.notAfter}` };
      return;
    }
    if (!kept.signed) {
      const call = "builder" in request.call ? await builders[request.call.builder]?.(request.call.ref) : request.call;
      if (!call) throw new Error("nobody makes this call");
      const effect = deps.effectOf(request, call.to, call.data);
      if (request.dryRun && !chain.wouldSucceed(effect, now())) {
        kept.abandoned = { reason: "reverts", detail: "the call reverts" };
        return;
      }
      await edge("before signing");
      kept.signed = { hash: hashOf(request.id), effect };
      await edge("after signing");
    }
    if (!kept.released) {
      const verdict = (await guards[request.kind]?.(request)) ?? ({ send: true } as const);
      if (!verdict.send) {
        kept.abandoned = { reason: "refused", detail: verdict.detail };
        return;
      }
      await edge("before release");
      // Asked once more: between the guard and the bytes there is only what the sender waits for.
      if (request.notAfter !== undefined && BigInt(now()) > request.notAfter) {
        kept.abandoned = { reason: "expired", detail: `not sent by ${request.notAfter}` };
        return;
      }
      kept.released = true;
      await edge(`after release of ${request.kind}`);
    }
    const found = chain.find(kept.signed.hash);
    if (!found) chain.broadcast(kept.signed, now());
    await edge("after broadcast");
  }

  return {
    port: {
      async submit(tx, requests) {
        deps.durable.stage(tx, () => {
          for (const request of requests) {
            if (!intents.has(request.id)) intents.set(request.id, { request, released: false });
          }
        });
      },
      async find(_from, id) {
        const kept = intents.get(id);
        return kept && statusOf(kept);
      },
      findByTransactions: async () => new Map(),
    },
    count: () => intents.size,
    async step(parts) {
      for (const kept of intents.values()) {
        if (kept.abandoned || (kept.signed && chainOf(kept.request).find(kept.signed.hash))) continue;
        try {
          await advance(kept, parts);
        } catch (error) {
          // A guard that throws is asked again; a process that dies is not.
          if (error instanceof Crash) throw error;
        }
      }
    },
  };
}

const hashOf = (id: string): Hex => `0x${createHash("sha256").update(id).digest("hex")}`;
