import type { Chain } from "#core/chain/chain.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { type ChainHead, createGatewayReader } from "../gateway.ts";
import { createFinals, type Reading, type View } from "./finals.ts";
import { createRollCall, type EndpointStatus } from "./rollCall.ts";
import type { FinalBlock } from "./signingStore.ts";
import { firstAgreed, groupOf } from "./votes.ts";

/** A final block on which enough endpoints agree, with the lanes' heads at it, by destination chain id. */
export type AgreedBlock = FinalBlock & { readonly heads: ReadonlyMap<number, ChainHead> };

/**
 * Reads a chain through several endpoints of which two thirds must give the same answer. Lag, silence and refusals are
 * no disagreement, only not a vote; nothing waits for an endpoint once the others suffice.
 */
export type AgreedChain = {
  /** The newest final block that has the votes, `known` when it is that one; undefined when there is none. */
  look(known: Hex | undefined): Promise<AgreedBlock | "known" | undefined>;
  /** The hash of the block at a height that is final, undefined when too few endpoints have the same one. */
  hashAt(height: bigint): Promise<Hex | undefined>;
  /** What enough endpoints answer alike. Throws `chain-answer-invalid` when they do not. */
  agree<T>(read: (endpoint: Chain) => Promise<T>, spell: (value: T) => string): Promise<T>;
  /** All of them, those that voted last time first. */
  readonly endpoints: readonly Chain[];
  /** How each endpoint did at the last look. */
  status(): EndpointStatus[];
};

type Vote = { readonly winners: readonly View[]; readonly voted: readonly View[] };
type Heads = View & { readonly heads: ReadonlyMap<number, ChainHead> };

export function createAgreedChain(deps: {
  endpoints: readonly Chain[];
  /** What to call the endpoints, in their order. */
  names: readonly string[];
  gateway: Hex;
  destinations: readonly number[];
  clock: Clock;
  log: Log;
}): AgreedChain {
  const { endpoints, gateway, destinations, log } = deps;
  const needed = Math.ceil((endpoints.length * 2) / 3);
  const rollCall = createRollCall({ endpoints, names: deps.names, log });
  const readFinals = createFinals({ endpoints, needed, rollCall, clock: deps.clock, log });

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

  /** The agreeing views at the highest height where enough agree: one that lies about a height hides no lower one. */
  async function agreeingViews(finals: readonly View[]): Promise<Vote | undefined> {
    const heights = finals.map(({ height }) => height).toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0));
    for (const height of new Set(heights.slice(needed - 1))) {
      const there = finals.filter((view) => view.height >= height);
      const views = await firstAgreed(
        there.map((view) => viewAt(view, height)),
        (known) => groupOf(known, ({ hash }) => hash, needed),
      );
      rollCall.note(views.known, views.found);
      if (views.found) return { winners: views.found, voted: views.known };
    }
    return undefined;
  }

  /** Endpoints that the others did not wait for are compared as well, once they answer: for health alone. */
  function compareLater(readings: readonly Reading[], { winners, voted }: Vote): void {
    const [{ height }] = winners as [View];
    for (const { endpoint, view } of readings) {
      if (voted.some((each) => each.endpoint === endpoint)) continue;
      void view
        .then(async (late) => {
          if (!late) return;
          if (late.height < height) return rollCall.behind(endpoint, late.height);
          const vote = await viewAt(late, height);
          if (vote) rollCall.note([vote], winners);
        })
        .catch(() => rollCall.silent(endpoint));
    }
  }

  /** Also asks those whose votes about the block were not waited for: one that voted may lie about the heads. */
  async function agreedHeads(readings: readonly Reading[], block: View): Promise<readonly Heads[] | undefined> {
    const { known, found } = await firstAgreed(
      readings.map(async ({ view }) => {
        const final = await view;
        const there = final && final.height >= block.height ? await viewAt(final, block.height) : undefined;
        return there?.hash === block.hash ? { ...there, heads: await headsAt(there) } : undefined;
      }),
      (heads) => groupOf(heads, spelled, needed),
    );
    const votes = (heads: readonly Heads[]) => heads.map((each) => ({ ...each, hash: spelled(each) }));
    if (known.length >= needed) rollCall.note(votes(known), found && votes(found));
    return found;
  }

  return {
    get endpoints() {
      return rollCall.bestFirst();
    },
    status: rollCall.status,
    async look(known) {
      const { readings, views } = await readFinals();
      const vote = await agreeingViews(views);
      const [view] = vote?.winners ?? [];
      if (!view || !vote) return undefined;
      compareLater(readings, vote);
      if (view.hash === known) return "known";
      const [winner] = (await agreedHeads(readings, view)) ?? [];
      if (winner) return { height: view.height, hash: view.hash, heads: winner.heads };
      log.warn({ height: view.height }, "endpoints disagree about the heads of lanes");
      return undefined;
    },
    async hashAt(height) {
      const blocks = await firstAgreed(
        endpoints.map((endpoint) => endpoint.block(height)),
        (known) => groupOf(known, ({ hash }) => hash, needed),
      );
      return blocks.found?.[0]?.hash;
    },
    async agree(read, spell) {
      const { found, known } = await firstAgreed(endpoints.map(read), (values) => groupOf(values, spell, needed));
      const [value] = found ?? [];
      if (value !== undefined) return value;
      const message = `${needed} of ${endpoints.length} endpoints have to answer alike, ${known.length} have answered`;
      throw new LockstepError("chain-answer-invalid", message);
    },
  };
}

const spelled = ({ heads }: Heads): string =>
  [...heads].map(([id, { nonce, accumulator }]) => `${id}:${nonce}:${accumulator}`).join();
