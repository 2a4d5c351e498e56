import type { TrackingId } from "../observe/tracking.ts";
import { answerOnce, keyOf } from "./idempotency/answerOnce.ts";
import type { Once } from "./idempotency/once.ts";
import { placeOf } from "./location.ts";
import { isPrepared, jsonType, type Prepared } from "./prepared.ts";
import type { Route, RouteAnswer, RouteInput } from "./route.ts";
import { errorsOf } from "./routeErrors.ts";
import type { HttpServer } from "./server.ts";

/** What a handler answers with; of what does not change the text that was made before. */
type Answered<R extends Route> = RouteAnswer<R> | (R extends { readonly method: "GET" } ? Prepared : never);

/** Serves a route. */
export function serve<R extends Route>(
  app: HttpServer,
  route: R,
  handler: (input: RouteInput<R>) => Answered<R> | Promise<Answered<R>>,
): void {
  const { name, method, url, access, tag, summary, description, params, query, body, answer, status = 200 } = route;
  app.route({
    method,
    url,
    config: {
      access,
      everyAccount: route.everyAccount ?? false,
      errors: errorsOf(route),
      examples: route.examples,
      location: route.location,
    },
    schema: {
      ...{ tags: [tag], summary, ...(description !== undefined && { description }) },
      ...(name !== undefined && { operationId: name }),
      ...(access !== "anyone" && access !== "signed" && { security: [{ bearer: [] }] }),
      ...(params && { params }),
      ...(query && { querystring: query }),
      ...(body && { body }),
      response: { [status]: answer },
    },
    handler: async (request, reply) => {
      // The compilers have parsed the parts by the route's own schemas, which fastify's types cannot know here.
      const { params, query, body, caller } = request;
      const run = async (once: Once | undefined) => {
        const answer = await handler({ params, query, body, caller, once } as RouteInput<R>);
        if (route.tracks !== undefined) request.tracking = trackingOf(route.tracks, answer);
        return answer;
      };
      const keyed = keyOf(request);
      if (keyed && !app.idempotency) throw new Error("a server that keeps no keys was sent one");
      if (keyed && app.idempotency) {
        const { location } = route;
        return answerOnce(app.idempotency, keyed, reply, { status, route: `${method} ${url}`, location, run });
      }
      const answer = await run(undefined);
      // A request that was answered in the name of the clock is answered already.
      if (reply.sent) return reply;
      if (isPrepared(answer)) return reply.code(status).type(jsonType).send(answer.json);
      if (route.location) reply.header("location", placeOf(route.location, answer));
      return reply.code(status).send(answer);
    },
  });
}

const trackingOf = (prefix: string, answer: unknown): TrackingId | undefined =>
  typeof answer === "object" && answer !== null && "id" in answer && typeof answer.id === "string"
    ? `${prefix}${answer.id}`
    : undefined;
