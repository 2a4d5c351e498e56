import type { FastifyInstance } from "fastify";
import type { Metrics } from "../observe/metrics.ts";

/** `GET /metrics`, for Prometheus. */
export function serveMetrics(app: Pick<FastifyInstance, "get">, metrics: Metrics): void {
  app.get("/metrics", { config: { access: "viewer" }, schema: { hide: true } as object }, async (_request, reply) => {
    const { contentType, body } = await metrics.text();
    return reply.header("content-type", contentType).send(body);
  });
}
