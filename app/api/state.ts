import type { z } from "zod";
import type { ChainAccess } from "#core/chain/chain.ts";
import type { StateProof } from "#core/chain/verifyState.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import { proveAccount, type provenAccountSchema, type provenSlotSchema, proveSlot } from "./stateRoutes.ts";

type Prover = Pick<ChainAccess, "chainId" | "prove">;

/** Serves `/v1/chains/{name}/state`: what a chain's state holds, with the proof. */
export function createStateRoutes(deps: { chains: Live<Prover> }): (app: HttpServer) => Promise<void> {
  const chainOf = (name: string): Prover => {
    const chain = deps.chains.get(name);
    if (chain) return chain;
    throw new LockstepError("chain-unknown", `there is no chain "${name}"`, {
      details: { field: "name", known: deps.chains.entries().map(([each]) => each) },
    });
  };
  return async (app) => {
    serve(app, proveAccount, async ({ params: { name, address }, query: { block } }) => {
      const chain = chainOf(name);
      return accountView(name, chain.chainId, await chain.prove({ address, slots: [] }, block));
    });
    serve(app, proveSlot, async ({ params: { name, address, slot }, query: { block } }) => {
      const chain = chainOf(name);
      return slotView(name, chain.chainId, slot, await chain.prove({ address, slots: [slot] }, block));
    });
  };
}

const provenView = (chain: string, chainId: number, { header, address, account }: StateProof) => ({
  ...{ chain, chainId, address, exists: account !== undefined },
  block: { number: header.number, hash: header.hash, stateRoot: header.stateRoot },
});

function accountView(chain: string, chainId: number, state: StateProof): z.output<typeof provenAccountSchema> {
  const { account, header, accountProof } = state;
  return {
    ...provenView(chain, chainId, state),
    ...{ balance: account?.balance ?? 0n, nonce: account?.nonce ?? 0n },
    ...(account && { codeHash: account.codeHash, storageRoot: account.storageRoot }),
    proof: { header: header.rlp, account: [...accountProof] },
  };
}

function slotView(chain: string, chainId: number, slot: Hex, state: StateProof): z.output<typeof provenSlotSchema> {
  const [found] = state.storage;
  if (!found) throw new LockstepError("internal", "a proof without the slot that was asked for");
  return {
    ...provenView(chain, chainId, state),
    ...{ slot, value: found.value },
    proof: { header: state.header.rlp, account: [...state.accountProof], storage: [...found.proof] },
  };
}
