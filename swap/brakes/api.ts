import type { z } from "zod";
import type { KeyStore } from "#core/chain/keys.ts";
import { type Caller, mayActFor } from "#core/http/access.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapAuthority } from "../authority.ts";
import type { SwapChains } from "../chains.ts";
import { approveSwap, liftHalt, listHalts, putHalt, rejectSwap } from "../routes.ts";
import type { SwapView } from "../schemas.ts";
import { deciderOf } from "./deciders.ts";
import type { Decisions } from "./decisions.ts";
import type { Halt, Halts } from "./halts.ts";
import { refuseNoToken } from "./namedToken.ts";
import type { haltSchema } from "./schemas.ts";
import type { Scope } from "./scope.ts";

type HaltDeps = { halts: Halts; chains: Pick<SwapChains, "get">; keyStore: Pick<KeyStore, "names"> };

/** Serves `/v1/halts`. */
export function createHaltRoutes({ halts, chains, keyStore }: HaltDeps): (app: HttpServer) => Promise<void> {
  async function requireKnown({ account, chain, asset }: Scope): Promise<void> {
    const at = chain === undefined ? undefined : chains.get(chain, "chain");
    if (at && asset) await refuseNoToken(at.chain, asset);
    const known = keyStore.names();
    if (account === undefined || known.includes(account)) return;
    throw new LockstepError(
      "account-unknown",
      `there is no managed account "${account}"; there are ${known.join(", ")}`,
      {
        details: { field: "account", known },
      },
    );
  }

  return async (app) => {
    serve(app, listHalts, async () => ({ halts: (await halts.standing()).map(shown) }));
    serve(app, putHalt, async ({ body: { reason, ...of }, caller }) => {
      requireOwn(caller, of);
      await requireKnown(of);
      return shown(await halts.put(of, reason));
    });
    serve(app, liftHalt, async ({ params: { id }, caller }) => {
      const standing = caller?.accounts && (await halts.standing()).find((halt) => halt.id === id);
      if (standing) requireOwn(caller, standing);
      const lifted = await halts.lift(id);
      if (lifted) return shown(lifted);
      throw new LockstepError("not-found", "there is no halt with this id", { details: { field: "id" } });
    });
  };
}

/** A key for some accounts halts those, and not what others use as well. Throws `forbidden`. */
function requireOwn(caller: Caller | undefined, { account }: Scope): void {
  if (caller?.accounts === undefined || (account !== undefined && mayActFor(caller, account))) return;
  throw new LockstepError("forbidden", "account: the caller may halt only accounts that it may act for", {
    details: { field: "account" },
  });
}

const shown = ({ since, liftedAt, ...rest }: Halt): z.output<typeof haltSchema> => ({
  ...rest,
  since: since.toISOString(),
  ...(liftedAt && { liftedAt: liftedAt.toISOString() }),
});

type DecisionDeps = {
  decisions: Decisions;
  authority: SwapAuthority;
  driver: { advance(swapId: string): Promise<void> };
  /** The service's id of a swap, from whatever names it. */
  idOf(reference: string): Promise<string>;
  show(id: string): Promise<SwapView>;
};

/** Serves `POST /v1/swaps/{id}/approve` and `/reject`. */
export function decisionRoutes(app: HttpServer, { decisions, authority, driver, idOf, show }: DecisionDeps): void {
  for (const [verb, route] of [
    ["approve", approveSwap],
    ["reject", rejectSwap],
  ] as const) {
    serve(app, route, async ({ params, body, caller }) => {
      const id = await idOf(params.id);
      if (verb === "approve") await authority.requireLocker(caller, id, body?.step);
      else await authority.requireParty(caller, id);
      await decisions[verb](id, { by: deciderOf(caller), ...body });
      await driver.advance(id);
      return show(id);
    });
  }
}
