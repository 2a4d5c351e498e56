import type { FastifyInstance, FastifyRequest } from "fastify";
import { LockstepError } from "../kernel/errors.ts";

/**
 * Refuses what a route of the API has no schema for: a query or a body that would be ignored is a request that does not
 * do what its sender thinks. An empty object is no body. Throws `request-invalid` naming the first field too many.
 */
export function refuseUndeclared(app: Pick<FastifyInstance, "addHook">): void {
  app.addHook("preValidation", (request, _reply, done) => done(undeclared(request)));
}

function undeclared({ query, body, routeOptions: { url, schema } }: FastifyRequest): Error | undefined {
  if (!url?.startsWith("/v1/")) return undefined;
  const [parameter] = schema?.querystring === undefined ? Object.keys(query as object) : [];
  if (parameter !== undefined) return tooMuch(parameter, "this route takes no query parameters");
  if (schema?.body !== undefined || body === undefined || body === null) return undefined;
  if (typeof body !== "object" || Array.isArray(body)) return tooMuch("body", "this route takes no body");
  const [field] = Object.keys(body);
  return field === undefined ? undefined : tooMuch(field, "this route takes no body");
}

const tooMuch = (field: string, why: string) =>
  new LockstepError("request-invalid", `${field}: ${why}`, { details: { field } });
