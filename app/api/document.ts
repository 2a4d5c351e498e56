import { createHealthRoutes } from "#core/http/health.ts";
import { serve } from "#core/http/serve.ts";
import { createHttpServer } from "#core/http/server.ts";
import { serveSocket, serveStream } from "#core/http/stream.ts";
import { createLog } from "#core/observe/log.ts";
import { apiRoutes } from "./apiRoutes.ts";
import { socketEvents, streamEvents } from "./eventRoutes.ts";

const description = `Cross-chain messages and atomic swaps between EVM chains.

Amounts are decimal strings in the smallest unit of an asset. Times are ISO 8601 where people read them, and Unix seconds
(decimal strings) where a chain compares them. Requests carry an API key or an access token as
\`Authorization: Bearer …\`, or a signature; a service in local mode takes the token in the file \`token\` of its data folder
for what changes something. What is sent with an \`Idempotency-Key\` may be sent again until it is answered. Errors are problem documents (RFC 9457) with a
stable \`code\`; docs/errors.md has all of them, docs/api.md the conventions.`;

/** What the API's document says before the routes. */
export const apiDescription = {
  title: "Lockstep",
  version: "1",
  description,
  tags: [
    { name: "swaps", description: "Two locks on two chains, of which both parties claim one, or each is refunded" },
    { name: "quotes", description: "What the desk of this service would give, where it has one" },
    { name: "messages", description: "Messages from a contract or account of one chain to a contract of another" },
    { name: "locks", description: "Locks of the timelock contracts, whoever they belong to, and the watch over them" },
    { name: "halts", description: "What operators have stopped from being locked" },
    { name: "chains", description: "The chains, how far each has been read, and what their state holds" },
    { name: "network", description: "Lanes between chains, their validators, and the bridges over them" },
    { name: "fleet", description: "The processes of the service, and what each does" },
    { name: "events", description: "What happens, as it happens: streams, WebSockets and webhooks" },
    { name: "access", description: "Keys that callers of the API prove themselves with" },
    { name: "audit", description: "Who asked for what, and what came of it" },
    { name: "health", description: "For whoever keeps the process running" },
  ],
} as const;

/** The OpenAPI document of a service that serves everything, without one. */
export async function apiDocument(): Promise<object> {
  const log = createLog({ level: "silent", name: "document" });
  const app = await createHttpServer({ ...apiDescription, log });
  await createHealthRoutes(() => [])(app);
  for (const route of Object.values(apiRoutes)) {
    if (route === streamEvents) serveStream(app, route, notServed);
    else if (route === socketEvents) serveSocket(app, route, notServed);
    else serve(app, route, notServed);
  }
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

function notServed(): never {
  throw new Error("described, not served");
}
