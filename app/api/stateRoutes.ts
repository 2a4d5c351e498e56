import { z } from "zod";
import { defineRoute } from "#core/http/route.ts";
import { chainTroubles } from "#core/http/routeErrors.ts";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";
import { provenAccountExample, provenSlotExample } from "./examples.ts";

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

export const provenAccountSchema = z
  .object({
    ...proven,
    balance: uint.meta({ description: "In wei" }),
    nonce: uint,
    codeHash: hash.optional(),
    storageRoot: hash.optional(),
    proof: z.object(proof),
  })
  .meta({ id: "ProvenAccount" });

export const provenSlotSchema = z
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

const description = `Checked against the state root of a block that counts as final: an endpoint's answer that its own
proof does not bear out is refused (\`chain-answer-invalid\`).`;

export const proveAccount = defineRoute({
  name: "proveAccount",
  ...{ method: "GET", url: "/v1/chains/:name/state/:address", access: "viewer" },
  ...{ tag: "chains", summary: "An account, proven", description },
  ...{ params, query, answer: provenAccountSchema },
  errors: ["chain-unknown", "block-not-final", ...chainTroubles],
  examples: { answer: provenAccountExample },
});

export const proveSlot = defineRoute({
  name: "proveSlot",
  ...{ method: "GET", url: "/v1/chains/:name/state/:address/storage/:slot", access: "viewer" },
  ...{ tag: "chains", summary: "A storage slot, proven", description },
  ...{ params: slotParams, query, answer: provenSlotSchema },
  errors: ["chain-unknown", "block-not-final", ...chainTroubles],
  examples: { answer: provenSlotExample },
});
