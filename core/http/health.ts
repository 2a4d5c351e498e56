import { z } from "zod";
import { isLockstepError } from "../kernel/errors.ts";
import { defineRoute } from "./route.ts";
import { errorsOf } from "./routeErrors.ts";
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

const checksSchema = z.array(
  z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional(), warning: z.string().optional() }),
);

const live = defineRoute({
  ...{ method: "GET", url: "/health/live", access: "anyone" },
  ...{ tag: "health", summary: "The process answers" },
  answer: z.object({ status: z.literal("live") }),
});

/**
 * `/health/live`: the process answers. `/health/ready`: everything it needs now, which may change while it runs, is
 * well, or 503 with the reasons. `/health/startup`: what is to be done once is done, from then on for good, or 503 with
 * the reasons.
 */
export function createHealthRoutes(
  checks: () => readonly HealthCheck[],
  startup: readonly HealthCheck[] = [],
): (app: HttpServer) => Promise<void> {
  let hasStarted = false;
  return async (app) => {
    serve(app, live, () => ({ status: "live" as const }));
    serveChecks(app, {
      ...{ url: "/health/ready", summary: "Everything it needs is well", well: "ready", unwell: "unready" },
      look: () => Promise.all(checks().map(run)),
    });
    serveChecks(app, {
      ...{ url: "/health/startup", summary: "What is done once at the start is done" },
      ...{ well: "started", unwell: "starting" },
      async look() {
        const found = hasStarted ? [] : await Promise.all(startup.map(run));
        hasStarted ||= found.every(({ ok }) => ok);
        return found;
      },
    });
  };
}

/** Milliseconds that a check has: who probes waits for seconds, and what hangs is what it asks for. */
const answerMs = 4_000;

async function run({ name, check }: HealthCheck) {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve(`no answer within ${answerMs / 1_000} s`), answerMs);
  const found = await Promise.race([check().catch(wordsOf), late.promise]).finally(() => clearTimeout(timer));
  if (typeof found === "string") return { name, ok: false, reason: found };
  return { name, ok: true, ...found };
}

/** Our own errors are written to be shown. */
const wordsOf = (error: unknown): string => (isLockstepError(error) ? error.message : "the check failed");

type Checks = {
  readonly url: string;
  readonly summary: string;
  /** Its status in one word, with 200 and with 503. */
  readonly well: string;
  readonly unwell: string;
  look(): Promise<z.output<typeof checksSchema>>;
};

/** A route that answers in one shape whether all is well or not, so that its HTTP status alone tells. */
function serveChecks(app: HttpServer, { url, summary, well, unwell, look }: Checks): void {
  const access = "anyone";
  const answer = z.object({ status: z.enum([well, unwell]), checks: checksSchema });
  app.route({
    ...{ method: "GET", url },
    config: { access, errors: errorsOf({ method: "GET", access }) },
    schema: { tags: ["health"], summary, response: { 200: answer, 503: answer } },
    handler: async (_request, reply) => {
      const checks = await look();
      const isWell = checks.every(({ ok }) => ok);
      return reply.code(isWell ? 200 : 503).send({ status: isWell ? well : unwell, checks });
    },
  });
}
