import { z } from "zod";
import type { ChainConfig } from "#core/config/chains.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import { address, uint } from "#core/kernel/codec.ts";

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
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: "Chain" });

type Deps = { chains: Readonly<Record<string, ChainConfig>>; statusOf(chain: string): IndexerStatus | undefined };

/** Route of `/v1/chains`: what is configured, and how far the indexer of each chain is. */
export function createChainRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const view = (name: string, config: ChainConfig): z.output<typeof chainSchema> => {
    const { chainId, gateway, timelock, stateOracle, finality } = config;
    const status = deps.statusOf(name);
    return {
      ...{ name, chainId, gateway, timelock },
      ...(stateOracle !== undefined && { stateOracle }),
      finality: typeof finality === "string" ? finality : String(finality.blocks),
      indexer: status?.state ?? "stopped",
      ...(status?.head !== undefined && { head: status.head }),
      ...(status?.indexed !== undefined && { indexed: status.indexed }),
      ...(status?.final !== undefined && { final: status.final }),
      ...(status?.error && { error: { code: status.error.code, message: status.error.message } }),
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
  };
}
