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

/** What the log and the traces call a request by; every answer says it but those to what is none, or has no path. */
export const requestIdHeader = "x-request-id";

/**
 * Headers of every answer that hooks see, but of those under `docs` the request's id alone. The others are the same for all,
 * so they are written once here: helmet makes its own anew for every request, which costs a fast route half of its rate.
 */
export function addHeaders(app: HttpServer, { docs, tls }: { docs: string; tls: boolean }): void {
  const headers = { ...ofData, ...(tls && { "strict-transport-security": strictTransport }) };
  app.addHook("onRequest", (request, reply, done) => {
    reply.header(requestIdHeader, request.id);
    if (!request.url.startsWith(docs)) reply.headers(headers);
    done();
  });
}

/** Two bars that go together. */
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#2b6cb0" d="M1 3h9v4H1zM6 9h9v4H6z"/></svg>`;

/** The documentation is pages, with scripts and styles of its own and nothing from elsewhere. */
export async function serveDocs(
  app: HttpServer,
  { routePrefix, title }: { routePrefix: string; title: string },
): Promise<void> {
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
    const favicon = [{ filename: "icon.svg", rel: "icon", type: "image/svg+xml", sizes: "any", content: icon }];
    await scope.register(swaggerUi, {
      ...{ routePrefix, theme: { title, favicon }, logo: { type: "image/svg+xml", content: icon } },
      // Without the bar at the top, which has a logo and asks for the address of any other document.
      uiConfig: { layout: "BaseLayout" },
    });
  });
}
