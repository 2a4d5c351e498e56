import { z } from "zod";
import { defineRoute } from "./route.ts";
import { serve } from "./serve.ts";
import type { HttpServer } from "./server.ts";

/**
 * One thing a process needs to be of use; resolves with the reason when it is not well, or with a warning when it is of
 * use but somebody should look.
 */
export type HealthCheck = {
  readonly name: string;
  check(): Promise<string | { readonly warning: string } | undefined>;
};

const readySchema = z.object({
  status: z.enum(["ready", "unready"]),
  checks: z.array(
    z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional(), warning: z.string().optional() }),
  ),
});

const live = defineRoute({
  ...{ method: "GET", url: "/health/live", access: "anyone" },
  ...{ tag: "health", summary: "The process answers" },
  answer: z.object({ status: z.literal("live") }),
});

/**
 * `/health/live`: the process answers. `/health/ready`: everything it needs now, which may change while it runs, is
 * well, or 503 with the reasons.
 */
export function createHealthRoutes(checks: () => readonly HealthCheck[]): (app: HttpServer) => Promise<void> {
  const run = async ({ name, check }: HealthCheck) => {
    const found = await check().catch(() => "the check failed");
    if (typeof found === "string") return { name, ok: false, reason: found };
    return { name, ok: true, ...found };
  };
  return async (app) => {
    serve(app, live, () => ({ status: "live" as const }));
    app.get(
      "/health/ready",
      {
        config: { access: "anyone" },
        schema: {
          tags: ["health"],
          summary: "Everything it needs is well",
          response: { 200: readySchema, 503: readySchema },
        },
      },
      async (_request, reply) => {
        const results = await Promise.all(checks().map(run));
        const ready = results.every(({ ok }) => ok);
        return reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "unready", checks: results });
      },
    );
  };
}
