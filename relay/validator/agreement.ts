import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import { type ChainHead, createGatewayReader } from "../gateway.ts";
import type { FinalBlock } from "./signingStore.ts";

/** A final block on which enough endpoints agree, with the lanes' heads at it, by destination chain id. */
export type AgreedBlock = FinalBlock & { readonly heads: ReadonlyMap<number, ChainHead> };

/**
 * Reads a chain through several endpoints of which two thirds must give the same block and heads at one height. Lag,
 * silence and refusals are no disagreement, only not a vote.
 */
export type AgreedChain = {
  /** The newest final block that has the votes; undefined when there is none, or when it is `known`. */
  look(known: Hex | undefined): Promise<AgreedBlock | undefined>;
  /** The hash of the block at a height that is final, undefined when too few endpoints have the same one. */
  hashAt(height: bigint): Promise<Hex | undefined>;
  readonly endpoints: readonly Chain[];
};

type View = { readonly endpoint: Chain; readonly height: bigint; readonly hash: Hex };

export function createAgreedChain(deps: {
  endpoints: readonly Chain[];
  gateway: Hex;
  destinations: readonly number[];
  log: Log;
}): AgreedChain {
  const { endpoints, gateway, destinations, log } = deps;
  const hasVotes = (count: number) => count * 3 >= endpoints.length * 2;
  const needed = Math.ceil((endpoints.length * 2) / 3);

  async function finalView(endpoint: Chain): Promise<View | undefined> {
    const block = await endpoint.block("final");
    return block && { endpoint, height: block.number, hash: block.hash };
  }

  /** The same endpoint's block at the height that all are compared at. */
  async function viewAt(view: View, height: bigint): Promise<View | undefined> {
    if (view.height === height) return view;
    const block = await view.endpoint.block(height);
    return block && { endpoint: view.endpoint, height, hash: block.hash };
  }

  async function headsAt({ endpoint, height }: View): Promise<Map<number, ChainHead>> {
    const reader = createGatewayReader({ chain: endpoint, gateway });
    const heads = await Promise.all(
      destinations.map(async (id) => [id, await reader.outboundHead(id, height)] as const),
    );
    return new Map(heads);
  }

  return {
    endpoints,
    async hashAt(height) {
      const blocks = await answered(
        endpoints.map((endpoint) => endpoint.block(height)),
        log,
      );
      return majority(blocks, ({ hash }) => hash, hasVotes)?.[0]?.hash;
    },
    async look(known) {
      const finals = await answered(endpoints.map(finalView), log);
      const height = finals.map((view) => view.height).toSorted((a, b) => Number(b - a))[needed - 1];
      if (height === undefined) return undefined;
      const views = await answered(
        finals.filter((view) => view.height >= height).map((view) => viewAt(view, height)),
        log,
      );
      const hash = majority(views, (view) => view.hash, hasVotes)?.[0]?.hash;
      if (hash === undefined) {
        log.warn({ height, endpoints: endpoints.length }, "endpoints disagree about a final block");
        return undefined;
      }
      if (hash === known) return undefined;
      const agreeing = views.filter((view) => view.hash === hash);
      const heads = await answered(agreeing.map(headsAt), log);
      const agreed = majority(heads, spelled, hasVotes)?.[0];
      if (!agreed) log.warn({ height }, "endpoints disagree about the heads of lanes");
      return agreed && { height, hash, heads: agreed };
    },
  };
}

const spelled = (heads: Map<number, ChainHead>): string =>
  [...heads].map(([id, { nonce, accumulator }]) => `${id}:${nonce}:${accumulator}`).join();

function majority<T>(items: readonly T[], keyOf: (item: T) => string, enough: (count: number) => boolean) {
  return [...Map.groupBy(items, keyOf).values()].find((group) => enough(group.length));
}

/** The values of those that answered. */
async function answered<T>(asked: readonly Promise<T | undefined>[], log: Log): Promise<T[]> {
  const outcomes = await Promise.allSettled(asked);
  return outcomes.flatMap((outcome) => {
    if (outcome.status === "fulfilled") return outcome.value === undefined ? [] : [outcome.value];
    log.debug({ err: outcome.reason }, "endpoint did not answer");
    return [];
  });
}
