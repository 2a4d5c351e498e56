import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import {
  createJsonSchemaTransform,
  createJsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import { type Problem, toProblem } from "./problem.ts";

/** A fastify instance whose routes are described by zod schemas. */
export type HttpServer = FastifyInstance<
  import("node:http").Server,
  import("node:http").IncomingMessage,
  import("node:http").ServerResponse,
  import("fastify").FastifyBaseLogger,
  ZodTypeProvider
>;

export type HttpServerOptions = {
  log: Log;
  title: string;
  version: string;
  /** What `/docs` says before the routes. */
  description: string;
  bodyLimitBytes?: number;
};

/** A bigint is a string in JSON; the codecs say so of themselves, so what is unknown to JSON Schema may pass here. */
const zodToJsonConfig = { target: "draft-2020-12", unrepresentable: "any" } as const;

/**
 * The HTTP kit: zod schemas are validation, serialization and the OpenAPI 3.1 document at once; errors leave as problem
 * details. Building the server does not listen.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app = fastify({
    bodyLimit: options.bodyLimitBytes ?? 256 * 1024,
    routerOptions: { ignoreTrailingSlash: true },
    requestTimeout: 30_000,
    forceCloseConnections: true,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, toProblem(error)),
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    const fields = { method: request.method, route: request.routeOptions.url, code: problem.code, err: error };
    if (problem.status >= 500) options.log.error(fields, "request failed");
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request) => {
    throw new LockstepError("not-found", `there is no ${request.method} ${request.url.split("?")[0]}`);
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: options.title, version: options.version, description: options.description },
      components: { securitySchemes: { startupToken: { type: "http", scheme: "bearer" } } },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: createJsonSchemaTransformObject({ zodToJsonConfig }),
  });
  await app.register(swaggerUi, { routePrefix: "/docs" });
  app.get("/openapi.json", { schema: { hide: true } }, () => app.swagger());
  return app;
}

function sendProblem(reply: FastifyReply, problem: Problem) {
  return reply.code(problem.status).header("content-type", "application/problem+json").send(JSON.stringify(problem));
}
