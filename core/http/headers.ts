import helmet from "@fastify/helmet";
import swaggerUi from "@fastify/swagger-ui";
import type { HttpServer } from "./httpServer.ts";

const yearSeconds = 365 * 24 * 3600;
const strictTransport = `max-age=${yearSeconds}`;

/** What an answer that is data, and no page, tells a browser. */
const ofData = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/**
 * Headers of every answer but those under `docs`. They are the same for all, so they are written once here: helmet makes
 * its own anew for every request, which costs a fast route half of its rate.
 */
export function addHeaders(app: HttpServer, { docs, tls }: { docs: string; tls: boolean }): void {
  const headers = { ...ofData, ...(tls && { "strict-transport-security": strictTransport }) };
  app.addHook("onRequest", (request, reply, done) => {
    if (!request.url.startsWith(docs)) reply.headers(headers);
    done();
  });
}

/** The documentation is pages, with scripts and styles of its own and nothing from elsewhere. */
export async function serveDocs(app: HttpServer, routePrefix: string): Promise<void> {
  await app.register(async (scope) => {
    await scope.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          // The pages' script sets styles of elements.
          styleSrc: ["'self'", "'unsafe-inline'"],
          imgSrc: ["'self'", "data:"],
          fontSrc: ["'self'", "data:"],
          connectSrc: ["'self'"],
          formAction: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      xFrameOptions: { action: "deny" },
      // Said of what is served with TLS alone.
      strictTransportSecurity: false,
    });
    await scope.register(swaggerUi, { routePrefix });
  });
}
