import type { FastifyReply, FastifyRequest } from "fastify";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { AnsweredRequest, Tracing } from "../observe/tracing.ts";
import { trackingFields } from "../observe/tracking.ts";
import type { HttpServer } from "./httpServer.ts";

/** Upper bounds in seconds. */
const buckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10];
/** Characters of a path that are written down: whoever sends a longer one has made it up. */
const pathLength = 200;

/**
 * Tells the log and the metrics of every request once it is answered: what was asked, by whom, with which answer, and how
 * long that took. Never its query, headers or body. What anyone may ask (health, metrics, documentation) is told at
 * `debug` where all is well, since machines ask for it all day.
 */
export function tellOfRequests(
  app: HttpServer,
  { log, metrics, tracing }: { log: Log; metrics: Metrics; tracing?: Pick<Tracing, "request"> | undefined },
): void {
  const seconds = metrics.histogram("http_request_seconds", "Requests by what became of them", buckets);
  app.addHook("onResponse", (request, reply, done) => {
    const { method, ip: address, caller, refusal: code } = request;
    const { url: route = "none", config } = request.routeOptions;
    const { statusCode: status, elapsedTime } = reply;
    seconds({ method: request.is404 ? "none" : method, route, status: String(status) }, elapsedTime / 1_000);
    const level = config.access === "anyone" && status < 400 ? "debug" : "info";
    const [path = ""] = request.url.split("?", 1);
    const who = { address, ...(caller && { caller: caller.id }), ...(code && { code }) };
    const about = { request: request.id, ...(request.tracking !== undefined && trackingFields(request.tracking)) };
    const ms = Math.round(elapsedTime * 10) / 10;
    log[level]({ method, path: path.slice(0, pathLength), route, status, ms, ...about, ...who }, "request answered");
    if (tracing && changes.has(method) && !request.is404) tracing.request(spanOf(request, reply));
    done();
  });
}

/** Those that bring something about; of the others there are many, and metrics tell of them. */
const changes = new Set(["POST", "PUT", "PATCH", "DELETE"]);

function spanOf(request: FastifyRequest, { statusCode, elapsedTime }: FastifyReply): AnsweredRequest {
  const { method, id, tracking, refusal, routeOptions, headers } = request;
  const end = Date.now();
  const { url: route = "none" } = routeOptions;
  return {
    ...{ name: `${method} ${route}`, start: end - elapsedTime, end, tracking, error: refusal },
    ...(typeof headers.traceparent === "string" && { traceparent: headers.traceparent }),
    attributes: {
      ...{ "http.request.method": method, "http.route": route, "http.response.status_code": statusCode },
      "lockstep.request.id": id,
    },
  };
}
