import type { OutgoingHttpHeaders } from "node:http";
import type { WebSocket } from "@fastify/websocket";
import type { FastifyReply, FastifyRequest } from "fastify";
import { LockstepError } from "../kernel/errors.ts";
import type { Route, RouteInput } from "./route.ts";
import { errorsOf } from "./routeErrors.ts";
import type { HttpServer } from "./server.ts";

/** What a stream is opened with, besides what its route has parsed. */
type StreamInput<R extends Route> = RouteInput<R> & { readonly lastEventId: string | undefined };

/** Opens a stream: answers what writes to it. Throws for a request that gets a problem instead. */
type OpenStream<R extends Route, Out> = (input: StreamInput<R>) => Promise<(out: Out) => void>;

/**
 * Serves a route whose answers follow each other in one response for as long as it is open (server-sent events). It is
 * answered close-delimited: without the framing of chunks the bytes that many readers get are the same bytes.
 */
export function serveStream<R extends Route>(
  app: HttpServer,
  route: R,
  open: OpenStream<R, FastifyReply["raw"]>,
): void {
  app.route({
    ...shared(route, "text/event-stream"),
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      const write = await open(inputOf<R>(request));
      const { raw } = reply;
      if (raw.destroyed || raw.writableEnded) return;
      reply.hijack();
      raw.removeHeader("transfer-encoding");
      raw.writeHead(200, {
        ...(reply.getHeaders() as OutgoingHttpHeaders),
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        connection: "close",
        // nginx would hold back what is to arrive at once
        "x-accel-buffering": "no",
      });
      raw.flushHeaders();
      write(raw);
    },
  });
}

/**
 * Serves a route over a WebSocket. Browsers open WebSockets for any page and ask nobody, so a page of another origin than
 * this server's and `origins` is refused; what is no upgrade is told so.
 */
export function serveSocket<R extends Route>(
  app: HttpServer,
  route: R,
  open: OpenStream<R, WebSocket>,
  origins: readonly string[] = [],
): void {
  const opened = new WeakMap<FastifyRequest, (socket: WebSocket) => void>();
  app.route({
    ...shared(route, "application/json"),
    exposeHeadRoute: false,
    preHandler: async (request) => {
      refuseForeignPage(request, origins);
      if (!request.ws) {
        throw new LockstepError(
          "request-invalid",
          "this address takes WebSockets alone; `Upgrade: websocket` is missing",
          {
            details: { field: "upgrade" },
          },
        );
      }
      opened.set(request as FastifyRequest, await open(inputOf<R>(request)));
    },
    handler: async () => undefined,
    wsHandler: (socket, request) => opened.get(request as FastifyRequest)?.(socket),
  });
}

function refuseForeignPage({ headers }: Pick<FastifyRequest, "headers">, origins: readonly string[]): void {
  const { origin, host } = headers;
  if (origin === undefined || origins.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new LockstepError("origin-refused", "WebSockets from pages of another origin are refused");
}

function shared(route: Route, contentType: string) {
  const { url, access, tag, summary, description, params, query, answer } = route;
  return {
    method: "GET" as const,
    url,
    config: { access, errors: errorsOf(route), examples: route.examples },
    schema: {
      ...(route.name !== undefined && { operationId: route.name }),
      ...{ tags: [tag], summary, ...(description !== undefined && { description }) },
      ...(access !== "anyone" && access !== "signed" && { security: [{ bearer: [] }] }),
      ...(params && { params }),
      ...(query && { querystring: query }),
      response: {
        200: { description: summary, content: { [contentType]: { schema: answer } } },
      },
    },
  };
}

function inputOf<R extends Route>(request: unknown): StreamInput<R> {
  const { params, query, caller, headers } = request as FastifyRequest;
  const given = headers["last-event-id"];
  const lastEventId = Array.isArray(given) ? given[0] : given;
  // The compilers have parsed the parts by the route's own schemas, which fastify's types cannot know here.
  return { params, query, body: undefined, caller, lastEventId } as StreamInput<R>;
}
