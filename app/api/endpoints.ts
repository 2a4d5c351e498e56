import type { z } from "zod";
import type { ChainAccess, EndpointStatus } from "#core/chain/chain.ts";
import { endpointLags } from "#core/chain/metrics.ts";
import type { HealthCheck } from "#core/http/health.ts";
import type { endpointSchema } from "./chainRoutes.ts";

/** Endpoints of one chain as the API shows them. */
export function endpointViews(all: readonly EndpointStatus[]): z.output<typeof endpointSchema>[] {
  const lags = endpointLags(all);
  return all.map((status) => {
    const { usable: _, latencyMs, lastGoodAt, ...shown } = status;
    const lag = lags.get(status);
    return {
      ...shown,
      ...(lag !== undefined && { lag }),
      ...(latencyMs !== undefined && { latencyMs: Math.round(latencyMs * 10) / 10 }),
      ...(lastGoodAt !== undefined && { lastGoodAt: new Date(lastGoodAt).toISOString() }),
    };
  });
}

/** A chain without a usable endpoint is not well; a bad endpoint beside good ones is worth a warning. */
export function endpointCheck({ name, endpoints }: Pick<ChainAccess, "name" | "endpoints">): HealthCheck {
  return {
    name: `endpoints ${name}`,
    async check() {
      const found = endpoints();
      const bad = found.filter(({ reason }) => reason !== undefined);
      const named = bad.map(({ endpoint, state, reason }) => `${endpoint} is ${state} (${reason})`).join(", ");
      if (!found.some(({ usable }) => usable)) return named;
      return bad.length === 0 ? undefined : { warning: named };
    },
  };
}
