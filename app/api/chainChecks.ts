import type { HealthCheck } from "#core/http/health.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ChainEntry } from "../registry/registry.ts";
import { endpointCheck } from "./endpoints.ts";
import { indexerCheck } from "./indexerCheck.ts";

type Deps = {
  /** Those of this process. */
  indexers: { get(name: string): Pick<Indexer, "status"> | undefined };
  fleet: Pick<Fleet, "chains" | "hasOthers">;
};

/**
 * What has to be well about each chain that is there. A chain is paused when something is wrong with it, or is to be done
 * to it: then that is worth a warning, and the process stays of use to the others.
 */
export function chainChecks(chains: readonly ChainEntry[], deps: Deps): HealthCheck[] {
  return chains
    .filter(({ state }) => state !== "removed")
    .flatMap(({ name, state, access, settings }) => {
      const checks = [endpointCheck(access), readingCheck(name, settings.pollMs, deps)];
      return state === "paused" ? checks.map((check) => onlyWarning(check, "paused: ")) : checks;
    });
}

/** What another process does badly makes this one no less fit. */
function readingCheck(chain: string, pollMs: number, { indexers, fleet }: Deps): HealthCheck {
  const own = indexers.get(chain)?.status();
  if (own !== undefined && own.state !== "stopped") {
    const check = indexerCheck(own, pollMs);
    // What it has just taken over was well until now, as far as anybody knows.
    return own.state === "running" && own.healthyAt === undefined && fleet.hasOthers() ? onlyWarning(check, "") : check;
  }
  return {
    name: `indexer ${chain}`,
    async check() {
      const status = (await fleet.chains()).get(chain);
      if (status) return onlyWarning(indexerCheck(status, pollMs), "another process: ").check();
      const unread = "no process reads the chain";
      return own === undefined ? { warning: unread } : unread;
    },
  };
}

const onlyWarning = ({ name, check }: HealthCheck, before: string): HealthCheck => ({
  name,
  async check() {
    const found = await check();
    return typeof found === "string" ? { warning: `${before}${found}` } : found;
  },
});
