import type { HealthCheck } from "#core/http/health.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { ChainEntry } from "../registry/registry.ts";
import { endpointCheck } from "./endpoints.ts";
import { indexerCheck } from "./indexerCheck.ts";

/**
 * What has to be well about each chain that is there. A chain is paused when something is wrong with it, or is to be done
 * to it: then that is worth a warning, and the process stays of use to the others.
 */
export function chainChecks(
  chains: readonly ChainEntry[],
  indexers: { get(name: string): Pick<Indexer, "status"> | undefined },
): HealthCheck[] {
  return chains
    .filter(({ state }) => state !== "removed")
    .flatMap(({ name, state, access, settings }) => {
      const status = indexers.get(name)?.status();
      const checks = [endpointCheck(access), ...(status ? [indexerCheck(status, settings.pollMs)] : [])];
      return state === "paused" ? checks.map(onlyWarning) : checks;
    });
}

const onlyWarning = ({ name, check }: HealthCheck): HealthCheck => ({
  name,
  async check() {
    const found = await check();
    return typeof found === "string" ? { warning: `paused: ${found}` } : found;
  },
});
