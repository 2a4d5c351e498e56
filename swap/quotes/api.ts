import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { getDesk, requestQuote } from "../routes.ts";
import type { Desk } from "./desk.ts";
import type { DeskView } from "./schemas.ts";

type Deps = {
  /** Undefined where the configuration has none. */
  desk: (Pick<Desk, "quote"> & { describe(): Promise<DeskView> }) | undefined;
};

/** Serves `/v1/quotes` and `/v1/desk`. */
export function createQuoteRoutes({ desk }: Deps): (app: HttpServer) => Promise<void> {
  const there = () => {
    if (desk) return desk;
    throw new LockstepError("not-found", "this service has no desk; `swap.desk` of its configuration would make one");
  };
  return async (app) => {
    serve(app, requestQuote, ({ body }) => there().quote(body));
    serve(app, getDesk, () => there().describe());
  };
}
