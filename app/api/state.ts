import { z } from "zod";
import type { ChainAccess } from "#core/chain/chain.ts";
import type { StateProof } from "#core/chain/verifyState.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { address, type Hex, hash, hex, uint } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";

const params = z.object({ name: z.string(), address });
const slotParams = params.extend({ slot: hash.meta({ description: "The slot as 32 bytes" }) });
const query = z.strictObject({
  block: z
    .union([z.literal("final"), uint], "expected `final` or the number of a block")
    .default("final")
    .meta({ description: "`final`, or the number of a final block; nodes may not keep the state of old ones" }),
});

const proven = {
  chain: z.string(),
  chainId: z.int(),
  block: z.object({ number: uint, hash, stateRoot: hash }),
  address,
  exists: z.boolean().meta({ description: "False where the proof shows that there is no such account" }),
};
/** What a client needs to check the answer itself, down from a hash it knows of that block. */
const proof = {
  header: hex.meta({ description: "The block's header in RLP; its keccak256 is the block's hash" }),
  account: z.array(hex).meta({ description: "Nodes of the state trie from the root to the account" }),
};

const accountSchema = z
  .object({
    ...proven,
    balance: uint.meta({ description: "In wei" }),
    nonce: uint,
    codeHash: hash.optional(),
    storageRoot: hash.optional(),
    proof: z.object(proof),
  })
  .meta({ id: "ProvenAccount" });

const slotSchema = z
  .object({
    ...proven,
    slot: hash,
    value: hash.meta({ description: "Zero where the proof shows that nothing is stored" }),
    proof: z.object({
      ...proof,
      storage: z.array(hex).meta({ description: "Nodes of the account's storage trie from the root to the slot" }),
    }),
  })
  .meta({ id: "ProvenSlot" });

const problems = { "4xx": problemSchema, "5xx": problemSchema };
const description = `Checked against the state root of a block that counts as final: an endpoint's answer that its own
proof does not bear out is refused (\`chain-answer-invalid\`).`;

type Prover = Pick<ChainAccess, "chainId" | "prove">;

/** Routes of `/v1/chains/{name}/state`: what a chain's state holds, with the proof. */
export function createStateRoutes(deps: { chains: Live<Prover> }): (app: HttpServer) => Promise<void> {
  const chainOf = (name: string): Prover => {
    const chain = deps.chains.get(name);
    if (chain) return chain;
    throw new LockstepError("chain-unknown", `there is no chain "${name}"`, {
      details: { field: "name", known: deps.chains.entries().map(([each]) => each) },
    });
  };
  return async (app) => {
    app.get(
      "/v1/chains/:name/state/:address",
      {
        schema: {
          ...{ tags: ["chains"], summary: "An account, proven", description, params, querystring: query },
          response: { 200: accountSchema, ...problems },
        },
      },
      async ({ params: { name, address }, query: { block } }) => {
        const chain = chainOf(name);
        return accountView(name, chain.chainId, await chain.prove({ address, slots: [] }, block));
      },
    );
    app.get(
      "/v1/chains/:name/state/:address/storage/:slot",
      {
        schema: {
          ...{ tags: ["chains"], summary: "A storage slot, proven", description },
          ...{ params: slotParams, querystring: query },
          response: { 200: slotSchema, ...problems },
        },
      },
      async ({ params: { name, address, slot }, query: { block } }) => {
        const chain = chainOf(name);
        return slotView(name, chain.chainId, slot, await chain.prove({ address, slots: [slot] }, block));
      },
    );
  };
}

const provenView = (chain: string, chainId: number, { header, address, account }: StateProof) => ({
  ...{ chain, chainId, address, exists: account !== undefined },
  block: { number: header.number, hash: header.hash, stateRoot: header.stateRoot },
});

function accountView(chain: string, chainId: number, state: StateProof): z.output<typeof accountSchema> {
  const { account, header, accountProof } = state;
  return {
    ...provenView(chain, chainId, state),
    ...{ balance: account?.balance ?? 0n, nonce: account?.nonce ?? 0n },
    ...(account && { codeHash: account.codeHash, storageRoot: account.storageRoot }),
    proof: { header: header.rlp, account: [...accountProof] },
  };
}

function slotView(chain: string, chainId: number, slot: Hex, state: StateProof): z.output<typeof slotSchema> {
  const [found] = state.storage;
  if (!found) throw new LockstepError("internal", "a proof without the slot that was asked for");
  return {
    ...provenView(chain, chainId, state),
    ...{ slot, value: found.value },
    proof: { header: state.header.rlp, account: [...state.accountProof], storage: [...found.proof] },
  };
}
