import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";
import { LockstepError } from "../kernel/errors.ts";
import { requestIdHeader } from "./headers.ts";
import { positionHeader } from "./positionHeader.ts";

/**
 * Lets pages of the origins given use the API, and refuses those of others with `origin-refused`, whatever credentials
 * come with it: a browser adds a client certificate unasked. To be registered before anything asks for credentials,
 * which a preflight does not carry. There are no cookies.
 */
export async function admitOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  const admitted = new Set(origins);
  app.addHook("onRequest", (request, _reply, done) => {
    const { origin, host } = request.headers;
    if (origin === undefined || admitted.has(origin) || isOwn(origin, host, request.protocol)) return done();
    done(new LockstepError("origin-refused", "requests from pages of another origin are refused"));
  });
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    ...{ credentials: false, maxAge: 600, exposedHeaders: [positionHeader, requestIdHeader] },
  });
}

/** A page of this service's own; behind a proxy with TLS its scheme is not known here. */
function isOwn(origin: string, host: string | undefined, protocol: string): boolean {
  const page = URL.parse(origin);
  return page !== null && page.host === host?.toLowerCase() && (protocol !== "https" || page.protocol === "https:");
}
