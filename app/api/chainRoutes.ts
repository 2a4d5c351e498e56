import { z } from "zod";
import { printableName } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { chainTroubles } from "#core/http/routeErrors.ts";
import { address, hash, uint } from "#core/kernel/codec.ts";
import { chainPatchSchema, newChainSchema } from "../registry/schemas.ts";
import { chainExample, chainPatchExample, newChainExample, reindexExample } from "./examples.ts";

const seconds = z.number();

export const endpointSchema = z
  .object({
    endpoint: z.string().meta({ description: "Its host; the rest of a URL may hold a key" }),
    state: z.enum(["healthy", "untried", "failing", "lagging", "disagreeing", "open", "excluded"]),
    reason: z.string().optional(),
    socket: z
      .enum(["live", "down"])
      .optional()
      .meta({ description: "Whether it tells about new blocks at present; absent where none is configured" }),
    latencyMs: z.number().optional(),
    lastGoodAt: z.string().optional(),
    head: uint.optional(),
    lag: uint.optional().meta({ description: "Blocks that this is behind the newest head of a usable one" }),
  })
  .meta({ id: "Endpoint" });

export const accountSchema = z
  .object({
    account: z.string(),
    state: z
      .enum(["stopped", "running", "halted"])
      .meta({ description: "Whether this process sends with it; `halted`: for good, see `error`" }),
    open: z.number().int().meta({ description: "Transactions under way" }),
    waitingSeconds: z.number().optional().meta({ description: "How long the lowest of them has been in no block" }),
    balance: uint.optional().meta({ description: "Wei, when last asked" }),
    low: z.boolean().optional().meta({ description: "Whether that is less than the configuration wants" }),
    lowBelow: uint.optional(),
    stuck: z
      .object({ intent: z.string(), kind: z.string(), seconds: z.number(), reason: z.string().optional() })
      .optional()
      .meta({ description: "Its oldest intent in no block, where that is older than it should be" }),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: "ChainAccount" });

export const chainSchema = z
  .object({
    name: z.string(),
    chainId: z.number().int(),
    gateway: address,
    timelock: address,
    stateOracle: address.optional(),
    source: z.enum(["file", "api"]).meta({ description: "Where the chain was named" }),
    state: z.enum(["active", "paused", "removed"]),
    revision: uint.meta({ description: "Of the API's last word about it; 0 for none" }),
    finality: z.string().meta({ description: "`safe`, `finalized`, or a number of blocks on top" }),
    blockSeconds: seconds,
    inclusionSeconds: seconds,
    skewSeconds: seconds,
    outageSeconds: seconds,
    observed: z
      .object({
        inclusionSeconds: seconds
          .optional()
          .meta({ description: "From the first byte of a well-paid transaction of ours to its block" }),
        skewSeconds: seconds
          .optional()
          .meta({ description: "Between new blocks' timestamps and this machine's clock" }),
        timeOff: z.boolean().meta({ description: "More skew than the configured bound is widened for" }),
      })
      .meta({
        description: "What this process has seen within the last hour; deadlines allow for it where it is more",
      }),
    pollMs: z.number().int(),
    startBlock: z.number().int(),
    logWindow: z.number().int(),
    indexer: z.enum(["stopped", "running", "halted"]),
    head: uint.optional(),
    indexed: uint.optional(),
    final: uint.optional(),
    lag: uint.optional().meta({ description: "Blocks of the chain that are not indexed yet" }),
    endpoints: z.array(endpointSchema),
    accounts: z.array(accountSchema).meta({ description: "Those that send on it" }),
    checked: uint.optional().meta({ description: "Final blocks up to here were looked at twice" }),
    verified: uint.optional().meta({ description: "Up to here all messages agree with the gateways' own heads" }),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
    fork: z
      .object({ number: uint, hash })
      .optional()
      .meta({ description: "After `reorg-too-deep`: the last recorded block that the chain still has" }),
  })
  .meta({ id: "Chain" });
const reindexSchema = z.strictObject({
  fork: z
    .strictObject({ number: uint, hash })
    .meta({ description: "The last block that the old branch and the new one share" }),
});
const nameParams = z.object({ name: printableName });
const removal = z.strictObject({
  force: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also with messages under way: they stay on their chains, and go on when it is back" }),
});

export const listChains = defineRoute({
  name: "listChains",
  ...{ method: "GET", url: "/v1/chains", access: "viewer" },
  ...{ tag: "chains", summary: "The chains, and how far each has been read" },
  answer: z.object({ chains: z.array(chainSchema) }),
  examples: { answer: { chains: [chainExample] } },
});

export const addChain = defineRoute({
  everyAccount: true,
  name: "addChain",
  ...{ method: "POST", url: "/v1/chains", access: "admin" },
  ...{ tag: "chains", summary: "Add a chain" },
  description: "Its endpoints and contracts are asked whether they are what the request says they are.",
  ...{ body: newChainSchema, status: 201, answer: chainSchema },
  errors: ["chain-exists", "setting-fixed", "endpoint-refused", "contract-mismatch", ...chainTroubles],
  examples: { body: newChainExample, answer: chainExample },
});

export const changeChain = defineRoute({
  everyAccount: true,
  name: "changeChain",
  ...{ method: "PATCH", url: "/v1/chains/:name", access: "admin" },
  ...{ tag: "chains", summary: "Change settings of a chain" },
  ...{ params: nameParams, body: chainPatchSchema, answer: chainSchema },
  errors: ["not-found", "chain-exists", "setting-fixed", "endpoint-refused", "contract-mismatch", ...chainTroubles],
  examples: { body: chainPatchExample, answer: chainExample },
});

export const pauseChain = defineRoute({
  everyAccount: true,
  name: "pauseChain",
  ...{ method: "POST", url: "/v1/chains/:name/pause", access: "operator" },
  ...{ tag: "chains", summary: "Take on nothing new for a chain; claims, refunds and reading go on" },
  ...{ params: nameParams, answer: chainSchema },
  errors: ["not-found"],
  examples: { answer: chainExample },
});

export const resumeChain = defineRoute({
  everyAccount: true,
  name: "resumeChain",
  ...{ method: "POST", url: "/v1/chains/:name/resume", access: "operator" },
  ...{ tag: "chains", summary: "Take on new things for a chain again" },
  ...{ params: nameParams, answer: chainSchema },
  errors: ["not-found"],
  examples: { answer: chainExample },
});

export const restoreChain = defineRoute({
  everyAccount: true,
  name: "restoreChain",
  ...{ method: "POST", url: "/v1/chains/:name/restore", access: "admin" },
  tag: "chains",
  summary:
    "Give a chain back to the configuration file: all that was said about it here is taken back, that it is removed too",
  ...{ params: nameParams, answer: chainSchema },
  errors: ["not-found", "chain-exists", "setting-fixed", "endpoint-refused", "contract-mismatch", ...chainTroubles],
  examples: { answer: chainExample },
});

export const removeChain = defineRoute({
  everyAccount: true,
  name: "removeChain",
  ...{ method: "DELETE", url: "/v1/chains/:name", access: "admin" },
  ...{ tag: "chains", summary: "Remove a chain that nothing needs any more" },
  ...{ params: nameParams, query: removal, answer: chainSchema },
  errors: ["not-found", "chain-in-use"],
  examples: { answer: chainExample },
});

export const reindexChain = defineRoute({
  everyAccount: true,
  name: "reindexChain",
  ...{ method: "POST", url: "/v1/chains/:name/reindex", access: "admin" },
  ...{ tag: "chains", summary: "Go on after a reorganisation deeper than finality" },
  description: "Takes back what was recorded above the fork, final or not, and reads the chain again from there.",
  ...{ params: nameParams, body: reindexSchema, status: 202, answer: chainSchema },
  errors: ["not-found", "reindex-refused", ...chainTroubles],
  examples: { body: reindexExample, answer: chainExample },
});
