import { type Server, type ServerOptions, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import underPressure from "@fastify/under-pressure";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { HttpLimits } from "../config/limits.ts";
import { type ErrorCode, errorTable, LockstepError } from "../kernel/errors.ts";
import { addressGroup } from "./addresses.ts";
import { toProblem } from "./toProblem.ts";

/** How often connections are looked through for requests that take too long to arrive, in milliseconds. */
const lookMs = 1_000;
const overloadedSeconds = 2;

/** What the server of Node itself is told of the limits: it ends what fastify never gets to see. */
export function serverLimits(limits: HttpLimits) {
  const http: ServerOptions & { handshakeTimeout: number } = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerSeconds * 1_000,
    // Counts for TLS only.
    handshakeTimeout: limits.headerSeconds * 1_000,
    connectionsCheckingInterval: lookMs,
    // Node's own answer to what has none is empty.
    requireHostHeader: false,
    // Anything else that is offered, as h2c by some clients, is answered as if it were not.
    shouldUpgradeCallback: ({ method, headers }) => method === "GET" && headers.upgrade?.toLowerCase() === "websocket",
  };
  return {
    http,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestSeconds * 1_000,
    keepAliveTimeout: limits.keepAliveSeconds * 1_000,
    handlerTimeout: Math.ceil(limits.answerSeconds * 1_000),
    clientErrorHandler: answerBroken,
  };
}

/** Has a server go by limits that have changed; those that it was built with stay. */
export function changeLimits(server: Server, limits: HttpLimits): void {
  server.maxHeadersCount = limits.headers + 1;
  server.maxConnections = limits.connections;
  server.headersTimeout = limits.headerSeconds * 1_000;
  server.requestTimeout = limits.requestSeconds * 1_000;
  server.keepAliveTimeout = limits.keepAliveSeconds * 1_000;
}

/** Turns requests away that are larger than they may be or that name no host, and all but those for health while the process is behind. */
export async function limitRequests(app: FastifyInstance, limits: HttpLimits): Promise<void> {
  // Node leaves out what is above its own number and says nothing, so that one has to be above ours.
  app.server.maxHeadersCount = limits.headers + 1;
  // An expectation other than of `100 Continue` may be passed over; Node's own answer to it is empty.
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  app.addHook("onRequest", (request, _reply, done) => done(refusalOf(request, limits)));
  await app.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMs,
    pressureHandler: async (request, _reply, _type, value) => {
      // Without a measure, as after the whole process or machine stood still, the delay counts as infinite.
      if (isHealth(request) || value === Number.POSITIVE_INFINITY) return;
      throw new LockstepError("overloaded", "the service is behind with its work", {
        details: { retryAfterSeconds: overloadedSeconds },
      });
    },
  });
}

/** Health is asked by what restarts processes, so it is answered whatever else is turned away. */
export const isHealth = ({ routeOptions: { url } }: FastifyRequest): boolean => url?.startsWith("/health/") ?? false;

/** Closes connections beyond the limits, as they come. Behind a trusted proxy all come from its address. */
export function limitConnections(
  app: FastifyInstance,
  limits: HttpLimits,
  isTrusted: (address: string) => boolean,
): void {
  const { server } = app;
  const open = new Map<string, number>();
  server.maxConnections = limits.connections;
  server.on("connection", (socket: Socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || isTrusted(remoteAddress)) return;
    const address = addressGroup(remoteAddress);
    const count = (open.get(address) ?? 0) + 1;
    if (count > limits.connectionsPerAddress) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}

/**
 * Ends connections while the server closes: each with its answer, and those without one after as long as a request may
 * take, for Node does not look at them any more.
 */
export function endConnections(app: FastifyInstance, limits: HttpLimits): void {
  let timer: NodeJS.Timeout | undefined;
  app.addHook("preClose", (done) => {
    timer = setTimeout(() => app.server.closeAllConnections(), 1_000 * limits.answerSeconds);
    timer.unref();
    done();
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    if (timer) reply.header("connection", "close");
    done();
  });
  app.addHook("onClose", (_app, done) => {
    clearTimeout(timer);
    done();
  });
}

function refusalOf({ raw }: FastifyRequest, limits: HttpLimits): Error | undefined {
  if (raw.headers.host === undefined && raw.httpVersion === "1.1") {
    return new LockstepError("request-invalid", "host: HTTP/1.1 asks for this header", { details: { field: "host" } });
  }
  if ((raw.url?.length ?? 0) > limits.urlBytes) {
    return new LockstepError("url-too-long", `expected at most ${limits.urlBytes} bytes of path and query`);
  }
  if (raw.rawHeaders.length > 2 * limits.headers) {
    return new LockstepError("headers-too-large", `expected at most ${limits.headers} headers`);
  }
  return undefined;
}

const brokenCodes: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "request-too-slow",
  HPE_HEADER_OVERFLOW: "headers-too-large",
};

/** What could not be read as a request is answered on the bare connection, as a problem all the same. */
export function answerBroken(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const code = brokenCodes[error.code ?? ""];
  const message = code ? errorTable[code].title : "expected an HTTP request";
  const problem = toProblem(new LockstepError(code ?? "request-invalid", message));
  const text = JSON.stringify(problem);
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: application/problem+json\r\n` +
        `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
    );
  }
  socket.destroySoon();
}
