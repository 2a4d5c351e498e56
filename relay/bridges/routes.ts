import { z } from "zod";
import type { RelayConfig } from "#core/config/relay.ts";
import type { Queryable } from "#core/db/db.ts";
import type { HttpServer } from "#core/http/server.ts";
import { address, uint } from "#core/kernel/codec.ts";
import { bridgeStates, isBacked } from "./states.ts";

const bridgeView = z
  .object({
    name: z.string(),
    home: z.object({ chain: z.string(), token: address, bridge: address }),
    remote: z.object({ chain: z.string(), token: address }),
    compared: z
      .object({
        backed: z.boolean().meta({ description: "Whether no more is minted than is locked" }),
        locked: uint,
        minted: uint,
        homeBlock: uint,
        remoteBlock: uint,
        at: z.string().meta({ description: "ISO 8601" }),
      })
      .optional()
      .meta({ description: "What the last comparison at blocks that fit has shown" }),
  })
  .meta({ id: "Bridge" });

/** Route of `/v1/bridges`. */
export function createBridgeRoutes(deps: {
  db: Queryable;
  bridges: RelayConfig["bridges"];
}): (app: HttpServer) => Promise<void> {
  return async (app) => {
    app.get(
      "/v1/bridges",
      {
        schema: {
          tags: ["network"],
          summary: "Bridges that are watched, and whether they hold what they have minted",
          response: { 200: z.object({ bridges: z.array(bridgeView) }) },
        },
      },
      async () => {
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
      },
    );
  };
}
