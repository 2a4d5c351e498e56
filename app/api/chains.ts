import { z } from "zod";
import { type Observations, type Observed, presentBounds } from "#core/chain/observations.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Indexer, IndexerStatus } from "#core/indexer/createIndexer.ts";
import { address, type Hex, hash, uint } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import type { RegistryChanges } from "../registry/changes.ts";
import type { ChainEntry, Registry } from "../registry/registry.ts";
import { chainPatchSchema, newChainSchema } from "../registry/settings.ts";
import { accountSchema, readAccounts } from "./accounts.ts";
import { endpointSchema, endpointViews } from "./endpoints.ts";

const seconds = z.number();

const chainSchema = z
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
type ChainView = z.output<typeof chainSchema>;

const reindexSchema = z.strictObject({
  fork: z
    .strictObject({ number: uint, hash })
    .meta({ description: "The last block that the old branch and the new one share" }),
});
const nameParams = z.object({ name: z.string().min(1).max(64) });
const removal = z.strictObject({
  force: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also with messages under way: they stay on their chains, and go on when it is back" }),
});
const problems = { "4xx": problemSchema, "5xx": problemSchema };
const secured = [{ startupToken: [] }];
const one = { 200: chainSchema, ...problems };

type Deps = {
  registry: Pick<Registry, "chains">;
  changes: RegistryChanges;
  indexers: Pick<Roster<Indexer>, "get">;
  sender: Pick<RunningSender, "status" | "stuck">;
  observations: Pick<Observations, "of">;
};

/** Routes of `/v1/chains`: the chains, how far each has been read, and what can be changed about them at run time. */
export function createChainRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const { registry, changes, indexers, sender, observations } = deps;
  async function views(entries: readonly ChainEntry[]): Promise<ChainView[]> {
    const accounts = await readAccounts(sender);
    return entries.map((entry) => ({
      ...viewOf(entry, indexers.get(entry.name)?.status()),
      observed: observedView(entry, observations.of(entry.name)),
      accounts: accounts.get(entry.name) ?? [],
    }));
  }
  async function view(name: string): Promise<ChainView> {
    const entry = registry.chains.get(name);
    const [found] = entry ? await views([entry]) : [];
    if (!found) throw new Error(`the chain ${name} is not there`);
    return found;
  }

  function readRoutes(app: HttpServer): void {
    app.get(
      "/v1/chains",
      {
        schema: {
          tags: ["chains"],
          summary: "The chains, and how far each has been read",
          response: { 200: z.object({ chains: z.array(chainSchema) }), "5xx": problemSchema },
        },
      },
      async () => ({
        chains: await views(
          registry.chains.entries().flatMap(([, entry]) => (entry.state === "removed" ? [] : [entry])),
        ),
      }),
    );
    app.post(
      "/v1/chains",
      {
        schema: {
          tags: ["chains"],
          summary: "Add a chain",
          description: "Its endpoints and contracts are asked whether they are what the request says they are.",
          security: secured,
          body: newChainSchema,
          response: { 201: chainSchema, ...problems },
        },
      },
      async ({ body: { name, ...settings } }, reply) => {
        await changes.addChain(name, settings);
        return reply.code(201).send(await view(name));
      },
    );
  }

  function reindexRoute(app: HttpServer): void {
    app.post(
      "/v1/chains/:name/reindex",
      {
        schema: {
          tags: ["chains"],
          summary: "Go on after a reorganisation deeper than finality",
          description:
            "Takes back what was recorded above the fork, final or not, and reads the chain again from there.",
          security: secured,
          params: nameParams,
          body: reindexSchema,
          response: { 202: chainSchema, ...problems },
        },
      },
      async ({ params: { name }, body: { fork } }, reply) => {
        if ((registry.chains.get(name)?.state ?? "removed") === "removed") {
          throw new LockstepError("not-found", `there is no chain ${name}`, { details: { field: "name" } });
        }
        const indexer = indexers.get(name);
        if (!indexer) throw new LockstepError("reindex-refused", `this process does not index ${name}`);
        await indexer.reindex(fork);
        return reply.code(202).send(await view(name));
      },
    );
  }

  function changeRoutes(app: HttpServer): void {
    app.patch(
      "/v1/chains/:name",
      {
        schema: {
          tags: ["chains"],
          summary: "Change settings of a chain",
          security: secured,
          params: nameParams,
          body: chainPatchSchema,
          response: one,
        },
      },
      async ({ params: { name }, body }) => {
        await changes.changeChain(name, body);
        return view(name);
      },
    );
    for (const [verb, summary, change] of verbs) {
      app.post(
        `/v1/chains/:name/${verb}`,
        { schema: { tags: ["chains"], summary, security: secured, params: nameParams, response: one } },
        async ({ params: { name } }) => {
          await change(changes, name);
          return view(name);
        },
      );
    }
    app.delete(
      "/v1/chains/:name",
      {
        schema: {
          tags: ["chains"],
          summary: "Remove a chain that nothing needs any more",
          security: secured,
          params: nameParams,
          querystring: removal,
          response: one,
        },
      },
      async ({ params: { name }, query }) => {
        await changes.removeChain(name, query.force === "true");
        return view(name);
      },
    );
  }

  return async (app) => {
    readRoutes(app);
    reindexRoute(app);
    changeRoutes(app);
  };
}

type Change = (changes: RegistryChanges, name: string) => Promise<void>;

const verbs: readonly (readonly [verb: string, summary: string, change: Change])[] = [
  [
    "pause",
    "Take on nothing new for a chain; claims, refunds and reading go on",
    (changes, name) => changes.setChain(name, "paused"),
  ],
  ["resume", "Take on new things for a chain again", (changes, name) => changes.setChain(name, "active")],
  [
    "restore",
    "Give a chain back to the configuration file: all that was said about it here is taken back, that it is removed too",
    (changes, name) => changes.restoreChain(name),
  ],
];

function viewOf(entry: ChainEntry, status: IndexerStatus | undefined): Omit<ChainView, "accounts" | "observed"> {
  const { name, source, state, revision, settings, access } = entry;
  const { finality, ...shown } = settings;
  const fork = forkOf(status);
  return {
    ...{ name, source, state, revision, ...shown },
    finality: typeof finality === "string" ? finality : String(finality.blocks),
    endpoints: endpointViews(access.endpoints()),
    indexer: status?.state ?? "stopped",
    ...heightsOf(status),
    ...lagOf(status),
    ...(status?.error && { error: { code: status.error.code, message: status.error.message } }),
    ...(fork && { fork }),
  };
}

const observedView = ({ settings }: ChainEntry, observed: Observed): ChainView["observed"] => ({
  ...observed,
  timeOff: presentBounds(settings, observed).isOff,
});

/** The heights that are known; before the first block of a kind they stand right below it, which is no block. */
function heightsOf({ head, indexed, final, checked, verified }: Partial<IndexerStatus> = {}) {
  const heights = { head, indexed, final, checked, verified };
  return Object.fromEntries(Object.entries(heights).filter(([, height]) => height !== undefined && height >= 0n));
}

function lagOf({ head, indexed }: Partial<IndexerStatus> = {}) {
  if (head === undefined || indexed === undefined) return {};
  return { lag: head > indexed ? head - indexed : 0n };
}

function forkOf(status: IndexerStatus | undefined): { number: bigint; hash: Hex } | undefined {
  if (status?.error?.code !== "reorg-too-deep") return undefined;
  const { fork, fork_hash: forkHash } = status.error.details;
  return typeof fork === "bigint" && fork >= 0n ? { number: fork, hash: hash.parse(forkHash) } : undefined;
}
