import type { AddressInfo } from "node:net";
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from "fastify";
import { z } from "zod";
import { serveMetrics } from "#core/http/metrics.ts";
import { answerBroken } from "#core/http/requestLimits.ts";
import { toProblem } from "#core/http/toProblem.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import type { ClientCertificates } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { type CheckRequest, requestHeader } from "../requestSignature.ts";
import {
  type AttestRequest,
  attestationSchema,
  attestRequestSchema,
  type HeaderRequest,
  headerAttestationSchema,
  headerRequestSchema,
  type WireAttestation,
  type WireHeaderAttestation,
} from "../schemas.ts";
import type { Pace } from "./pace.ts";
import type { ValidatorStatus } from "./status.ts";

const json = "application/json; charset=utf-8";

export type ValidatorServer = { listen(): Promise<{ url: string }>; close(): Promise<void> };

/** What is shown to who connects, and asked of them, as Node's TLS takes it. */
export type ServerCertificates = ClientCertificates & {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
};

/**
 * Where relayers ask for signatures, and operators for health. Signatures are no secret: without a list of relayers anyone
 * may ask, as fast as `pace` allows.
 */
export function createValidatorServer(deps: {
  listen: { host: string; port: number };
  tls?: Redacted<ServerCertificates> | undefined;
  /** Who asks, where only relayers may. */
  check?: CheckRequest | undefined;
  pace: Pace;
  attest(request: AttestRequest): Promise<WireAttestation>;
  attestHeader(request: HeaderRequest): Promise<WireHeaderAttestation>;
  health(): ValidatorStatus;
  log: Log;
  metrics?: Metrics | undefined;
}): ValidatorServer {
  const https = deps.tls?.reveal() ?? null;
  const refuse = (error: FastifyError, _request: FastifyRequest, reply: FastifyReply) => {
    const problem = toProblem(error);
    if (problem.code === "rate-limited") reply.header("retry-after", "1");
    if (problem.code === "internal") deps.log.error({ err: error }, "request failed");
    reply.code(problem.status).header("content-type", "application/problem+json").send(JSON.stringify(problem));
  };
  const app = fastify({
    ...{ bodyLimit: 4_096, requestTimeout: 10_000, forceCloseConnections: true, https },
    ...{ clientErrorHandler: answerBroken, frameworkErrors: refuse },
  });
  /** Bodies as they came: that is what is signed. */
  const bodies = new WeakMap<object, string>();
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    bodies.set(request, String(body));
    return parseJson(request, String(body), done);
  });
  const admit = async (request: FastifyRequest) => {
    deps.pace(request.ip);
    deps.check?.({ path: request.url, body: bodies.get(request) ?? "" }, request.headers[requestHeader]);
  };
  app.setErrorHandler(refuse);
  app.setNotFoundHandler(() => {
    throw new LockstepError("not-found", "there are /attest, /attest-header, /health/live, /health/ready and /metrics");
  });
  app.post("/attest", { preValidation: admit }, async ({ body }) =>
    z.encode(attestationSchema, await deps.attest(parse(attestRequestSchema, body))),
  );
  app.post("/attest-header", { preValidation: admit }, async ({ body }) =>
    z.encode(headerAttestationSchema, await deps.attestHeader(parse(headerRequestSchema, body))),
  );
  app.get("/health/live", async (_request, reply) => reply.type(json).send(toJson(deps.health())));
  app.get("/health/ready", async (_request, reply) => {
    const health = deps.health();
    return reply
      .code(health.status === "following" ? 200 : 503)
      .type(json)
      .send(toJson(health));
  });
  if (deps.metrics) serveMetrics(app, deps.metrics);
  return {
    async listen() {
      await app.listen(deps.listen);
      const { address, port, family } = app.server.address() as AddressInfo;
      return { url: `${https ? "https" : "http"}://${family === "IPv6" ? `[${address}]` : address}:${port}` };
    },
    close: () => app.close(),
  };
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const result = z.safeDecode(schema, body as z.input<S>);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join(".") || "body";
  throw new LockstepError("request-invalid", `${field}: ${issue?.message ?? "is not valid"}`, { details: { field } });
}
