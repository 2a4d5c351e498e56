import { randomUUID } from "node:crypto";
import swagger from "@fastify/swagger";
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import {
  createJsonSchemaTransform,
  createJsonSchemaTransformObject,
  serializerCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { type HttpLimits, limitsSchema } from "../config/limits.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { RouteAccess } from "./access.ts";
import { networksOf } from "./addresses.ts";
import { type Described, describeRoutes, documentKey, type OpenApi } from "./describe.ts";
import { addHeaders, serveDocs } from "./headers.ts";
import type { HttpServer } from "./httpServer.ts";
import type { Idempotency } from "./idempotency/answerOnce.ts";
import { parseJsonBodies } from "./jsonBody.ts";
import type { Problem } from "./problem.ts";
import { endConnections, limitConnections, limitRequests, serverLimits } from "./requestLimits.ts";
import type { TlsOptions } from "./tls.ts";
import { toProblem } from "./toProblem.ts";
import { refuseUndeclared } from "./undeclared.ts";
import { validateBySchema } from "./validate.ts";

export type { HttpServer } from "./httpServer.ts";

export type HttpServerOptions = {
  log: Log;
  title: string;
  version: string;
  /** What `/docs` says before the routes. */
  description: string;
  /** Serves https where it is given. */
  tls?: TlsOptions | undefined;
  limits?: HttpLimits;
  /** For requests with an Idempotency-Key; without it they fail. */
  idempotency?: Idempotency | undefined;
  /** Addresses and networks of proxies whose word about where requests come from is believed. */
  trustProxy?: readonly string[];
  /** What the tags of routes are about, in the order in which they are shown. */
  tags?: readonly { readonly name: string; readonly description: string }[];
  /** Told of an answer with a code that its route does not declare, which is a defect of the route. */
  onUndeclared?(route: string, code: string): void;
};

const docs = "/docs";

/** A route as it was added, of whatever plugin. */
type AddedRoute = { readonly method: string; readonly url: string; readonly access: RouteAccess };
const added = new WeakMap<object, AddedRoute[]>();

/** Every route of a server, those that the documentation does not show too. */
export const routesOf = (app: HttpServer): readonly AddedRoute[] => added.get(app) ?? [];

/** A bigint is a string in JSON; the codecs say so of themselves, so what is unknown to JSON Schema may pass here. */
const zodToJsonConfig = { target: "draft-2020-12", unrepresentable: "any" } as const;

/**
 * The HTTP kit: zod schemas are validation, serialization and the OpenAPI 3.1 document at once; errors leave as problem
 * details. Building the server does not listen.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = options.limits ?? limitsSchema.parse(undefined);
  const isTrusted = networksOf(options.trustProxy ?? []);
  const settings = {
    ...serverLimits(limits),
    ...(options.trustProxy?.length && { trustProxy: isTrusted }),
    routerOptions: { ignoreTrailingSlash: true },
    // Never one that a caller brings: it is what others are told apart by.
    genReqId: () => randomUUID(),
    // What is under way is answered, and so is what comes over connections that are open.
    forceCloseConnections: "idle" as const,
    return503OnClosing: false,
    frameworkErrors: (error: FastifyError, _request: FastifyRequest, reply: FastifyReply) =>
      void sendProblem(reply, toProblem(error)),
  };
  // A server with TLS is one without as far as routes can tell.
  const plain = options.tls ? fastify({ ...settings, https: { ...settings.http, ...options.tls } }) : fastify(settings);
  const app = (plain as unknown as FastifyInstance).withTypeProvider<ZodTypeProvider>() as HttpServer;
  parseJsonBodies(app);
  app.decorateRequest("caller", undefined);
  app.decorateRequest("refusal", undefined);
  app.decorateRequest("tracking", undefined);
  app.decorate("idempotency", options.idempotency);
  const routes: AddedRoute[] = [];
  added.set(app, routes);
  const described = new Map<string, Described>();
  app.addHook("onRoute", (route) => {
    const { errors, examples, location } = route.config ?? {};
    if (errors) described.set(documentKey(String(route.method), route.url), { errors, examples, location });
    // The pages of the documentation come from a plugin that knows nothing of access, as do answers to preflights.
    const isPreflight = route.method === "OPTIONS" && route.url === "*";
    if (isPreflight || `${route.url}/`.startsWith(`${docs}/`)) route.config = { ...route.config, access: "anyone" };
    const access = route.config?.access;
    if (access !== undefined) {
      for (const method of [route.method].flat()) routes.push({ method, url: route.url, access });
      return;
    }
    throw new Error(`${route.method} ${route.url} does not say who may call it`);
  });
  app.setValidatorCompiler(validateBySchema);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    const { method, id, routeOptions } = request;
    const fields = { request: id, method, route: routeOptions.url, code: problem.code, err: error };
    const { retryAfterSeconds } = problem.details ?? {};
    if (typeof retryAfterSeconds === "number") reply.header("retry-after", String(Math.ceil(retryAfterSeconds)));
    request.refusal = problem.code;
    if (problem.status >= 500 && problem.code !== "overloaded") options.log.error(fields, "request failed");
    tellUndeclared(options, request, problem);
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request) => {
    throw new LockstepError("not-found", `there is no ${request.method} ${request.url.split("?")[0]}`);
  });
  limitConnections(app, limits, isTrusted);
  endConnections(app, limits);
  await limitRequests(app, limits);
  addHeaders(app, { docs, tls: options.tls !== undefined });
  refuseUndeclared(app);
  const complete = createJsonSchemaTransformObject({ zodToJsonConfig });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: options.title, version: options.version, description: options.description },
      components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
      tags: [...(options.tags ?? [])],
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: (input) => describeRoutes(complete(input) as OpenApi, described),
  });
  await serveDocs(app, { routePrefix: docs, title: options.title });
  app.get("/openapi.json", { config: { access: "anyone" }, schema: { hide: true } }, () => app.swagger());
  // Who opens the service's address in a browser wants to know what it is.
  app.get("/", { config: { access: "anyone" }, schema: { hide: true } }, (_, reply) => reply.redirect(`${docs}/`));
  return app;
}

function tellUndeclared(options: HttpServerOptions, request: FastifyRequest, { code }: Problem): void {
  const { config, url } = request.routeOptions;
  const errors: ReadonlySet<string> | undefined = config.errors;
  if (!errors || errors.has(code)) return;
  const route = `${request.method} ${url}`;
  options.log.error({ route, code }, "a route answered with a code that it does not declare");
  options.onUndeclared?.(route, code);
}

function sendProblem(reply: FastifyReply, problem: Problem) {
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  return reply.code(problem.status).header("content-type", "application/problem+json").send(JSON.stringify(problem));
}
