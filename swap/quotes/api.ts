import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Desk } from "./desk.ts";
import { type DeskView, deskViewSchema, quoteRequestSchema, quoteViewSchema } from "./schemas.ts";

type Deps = {
  /** Undefined where the configuration has none. */
  desk: (Pick<Desk, "quote"> & { describe(): Promise<DeskView> }) | undefined;
};

const problems = { "4xx": problemSchema, "5xx": problemSchema };

/** Routes of `/v1/quotes` and `/v1/desk`. */
export function createQuoteRoutes({ desk }: Deps): (app: HttpServer) => Promise<void> {
  const there = () => {
    if (desk) return desk;
    throw new LockstepError("not-found", "this service has no desk; `swap.desk` of its configuration would make one");
  };
  return async (app) => {
    app.post(
      "/v1/quotes",
      {
        schema: {
          tags: ["quotes"],
          summary: "Ask the desk what it would give or want",
          security: [{ startupToken: [] }],
          body: quoteRequestSchema,
          response: { 200: quoteViewSchema, ...problems },
        },
      },
      ({ body }) => there().quote(body),
    );
    app.get(
      "/v1/desk",
      {
        schema: {
          tags: ["quotes"],
          summary: "What the desk trades, within which limits, and what it could give now",
          response: { 200: deskViewSchema, ...problems },
        },
      },
      () => there().describe(),
    );
  };
}
