import type { z } from "zod";
import { type Observations, type Observed, presentBounds } from "#core/chain/observations.ts";
import { unlessDone } from "#core/http/idempotency/once.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Indexer, IndexerStatus } from "#core/indexer/createIndexer.ts";
import { type Hex, hash } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { RegistryChanges } from "../registry/changes.ts";
import type { ChainEntry, Registry } from "../registry/registry.ts";
import { readAccounts } from "./accounts.ts";
import {
  addChain,
  type chainSchema,
  changeChain,
  listChains,
  pauseChain,
  reindexChain,
  removeChain,
  restoreChain,
  resumeChain,
} from "./chainRoutes.ts";
import { endpointViews } from "./endpoints.ts";

type ChainView = z.output<typeof chainSchema>;

type Deps = {
  registry: Pick<Registry, "chains">;
  changes: RegistryChanges;
  indexers: Pick<Roster<Indexer>, "get">;
  fleet: Pick<Fleet, "chains">;
  sender: Pick<RunningSender, "status" | "stuck">;
  observations: Pick<Observations, "of">;
};

/** Serves `/v1/chains`: the chains, how far each has been read, and what can be changed about them at run time. */
export function createChainRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const { registry, changes, indexers, fleet, sender, observations } = deps;
  async function views(entries: readonly ChainEntry[]): Promise<ChainView[]> {
    const [accounts, statuses] = await Promise.all([readAccounts(sender), fleet.chains()]);
    return entries.map((entry) => ({
      ...viewOf(entry, statuses.get(entry.name)),
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

  return async (app) => {
    serve(app, listChains, async () => ({
      chains: await views(registry.chains.entries().flatMap(([, entry]) => (entry.state === "removed" ? [] : [entry]))),
    }));
    serve(app, addChain, async ({ body: { name, ...settings }, once }) => {
      await unlessDone(once, ["chain-exists"], () => changes.addChain(name, settings));
      return view(name);
    });
    serve(app, changeChain, async ({ params: { name }, body }) => {
      await changes.changeChain(name, body);
      return view(name);
    });
    serve(app, pauseChain, async ({ params: { name } }) => {
      await changes.setChain(name, "paused");
      return view(name);
    });
    serve(app, resumeChain, async ({ params: { name } }) => {
      await changes.setChain(name, "active");
      return view(name);
    });
    serve(app, restoreChain, async ({ params: { name } }) => {
      await changes.restoreChain(name);
      return view(name);
    });
    serve(app, removeChain, async ({ params: { name }, query, once }) => {
      await unlessDone(once, ["not-found"], () => changes.removeChain(name, query.force === "true"));
      return view(name);
    });
    serve(app, reindexChain, async ({ params: { name }, body: { fork }, once }) => {
      if ((registry.chains.get(name)?.state ?? "removed") === "removed") {
        throw new LockstepError("not-found", `there is no chain ${name}`, { details: { field: "name" } });
      }
      const indexer = indexers.get(name);
      if (!indexer || indexer.status().state === "stopped")
        throw new LockstepError("reindex-refused", `another process reads ${name}: see GET /v1/leases`);
      await unlessDone(once, ["reindex-refused"], () => indexer.reindex(fork));
      return view(name);
    });
  };
}

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
