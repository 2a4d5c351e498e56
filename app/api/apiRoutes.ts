import type { Route } from "#core/http/route.ts";
import * as relay from "#relay/routes.ts";
import * as swap from "#swap/routes.ts";
import * as apiKeys from "./apiKeyRoutes.ts";
import * as audit from "./auditRoutes.ts";
import * as chains from "./chainRoutes.ts";
import * as events from "./eventRoutes.ts";
import * as fleet from "./instanceRoutes.ts";
import * as lanes from "./laneRoutes.ts";
import * as restore from "./restoreRoutes.ts";
import * as state from "./stateRoutes.ts";
import * as webhooks from "./webhookRoutes.ts";

/** All routes of the API by the names of their constants, whether this process serves them or not. */
export const apiRoutes: Readonly<Record<string, Route>> = Object.fromEntries(
  [relay, swap, chains, lanes, state, events, webhooks, apiKeys, audit, fleet, restore].flatMap((module) =>
    Object.entries(module).flatMap(([name, value]) => (isRoute(value) ? [[name, value] as const] : [])),
  ),
);

function isRoute(value: unknown): value is Route {
  return typeof value === "object" && value !== null && "method" in value && "url" in value && "answer" in value;
}
