import type { RelayConfig } from "#core/config/relay.ts";
import type { Queryable } from "#core/db/db.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { listBridges } from "../routes.ts";
import { bridgeStates, isBacked } from "./states.ts";

/** Serves `/v1/bridges`. */
export function createBridgeRoutes(deps: {
  db: Queryable;
  bridges: RelayConfig["bridges"];
}): (app: HttpServer) => Promise<void> {
  return async (app) =>
    serve(app, listBridges, async () => {
      const names = deps.bridges.map(({ name }) => name);
      const found = new Map((await bridgeStates(deps.db, names)).map((state) => [state.name, state]));
      const bridges = deps.bridges.map(({ name, home, remote }) => {
        const state = found.get(name);
        if (!state) return { name, home, remote };
        const { locked, minted, homeBlock, remoteBlock, at } = state;
        const compared = { backed: isBacked(state), locked, minted, homeBlock, remoteBlock, at: at.toISOString() };
        return { name, home, remote, compared };
      });
      return { bridges };
    });
}
