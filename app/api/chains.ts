import { z } from "zod";
import type { EndpointStatus } from "#core/chain/chain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Indexer, IndexerStatus } from "#core/indexer/createIndexer.ts";
import { address, type Hex, hash, uint } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { endpointSchema, endpointView } from "./endpoints.ts";

const chainSchema = z
  .object({
    name: z.string(),
    chainId: z.number().int(),
    gateway: address,
    timelock: address,
    stateOracle: address.optional(),
    finality: z.string().meta({ description: "`safe`, `finalized`, or a number of blocks on top" }),
    indexer: z.enum(["stopped", "running", "halted"]),
    head: uint.optional(),
    indexed: uint.optional(),
    final: uint.optional(),
    endpoints: z.array(endpointSchema),
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

type Deps = {
  chains: Readonly<Record<string, ChainConfig>>;
  indexers: ReadonlyMap<string, Indexer>;
  endpointsOf(chain: string): readonly EndpointStatus[];
};

/** Routes of `/v1/chains`: what is configured, how far each chain's indexer is, and going on after a deep fork. */
export function createChainRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const view = (name: string, config: ChainConfig): z.output<typeof chainSchema> => {
    const { chainId, gateway, timelock, stateOracle, finality } = config;
    const status = deps.indexers.get(name)?.status();
    const fork = forkOf(status);
    return {
      ...{ name, chainId, gateway, timelock },
      ...(stateOracle !== undefined && { stateOracle }),
      finality: typeof finality === "string" ? finality : String(finality.blocks),
      indexer: status?.state ?? "stopped",
      ...(status?.head !== undefined && { head: status.head }),
      ...(status?.indexed !== undefined && { indexed: status.indexed }),
      ...(status?.final !== undefined && { final: status.final }),
      endpoints: deps.endpointsOf(name).map(endpointView),
      ...(status?.checked !== undefined && { checked: status.checked }),
      ...(status?.verified !== undefined && { verified: status.verified }),
      ...(status?.error && { error: { code: status.error.code, message: status.error.message } }),
      ...(fork && { fork }),
    };
  };
  return async (app) => {
    app.get(
      "/v1/chains",
      {
        schema: {
          tags: ["chains"],
          summary: "The chains, and how far each has been read",
          response: { 200: z.object({ chains: z.array(chainSchema) }), "5xx": problemSchema },
        },
      },
      async () => ({ chains: Object.entries(deps.chains).map(([name, config]) => view(name, config)) }),
    );
    app.post(
      "/v1/chains/:name/reindex",
      {
        schema: {
          tags: ["chains"],
          summary: "Go on after a reorganisation deeper than finality",
          description:
            "Takes back what was recorded above the fork, final or not, and reads the chain again from there.",
          security: [{ startupToken: [] }],
          params: z.object({ name: z.string() }),
          body: reindexSchema,
          response: { 202: chainSchema, "4xx": problemSchema, "5xx": problemSchema },
        },
      },
      async ({ params: { name }, body: { fork } }, reply) => {
        const config = deps.chains[name];
        if (!config) throw new LockstepError("not-found", `there is no chain ${name}`, { details: { field: "name" } });
        const indexer = deps.indexers.get(name);
        if (!indexer) throw new LockstepError("reindex-refused", `this process does not index ${name}`);
        await indexer.reindex(fork);
        return reply.code(202).send(view(name, config));
      },
    );
  };
}

function forkOf(status: IndexerStatus | undefined): { number: bigint; hash: Hex } | undefined {
  if (status?.error?.code !== "reorg-too-deep") return undefined;
  const { fork, fork_hash: forkHash } = status.error.details;
  return typeof fork === "bigint" && fork >= 0n ? { number: fork, hash: hash.parse(forkHash) } : undefined;
}
