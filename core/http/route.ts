import type { z } from "zod";
import type { ErrorCode } from "../kernel/errors.ts";
import type { TrackingId } from "../observe/tracking.ts";
import type { Caller, RouteAccess } from "./access.ts";
import type { RouteExamples } from "./describe.ts";
import type { Once } from "./idempotency/once.ts";

/**
 * A route as data: the server serves it, the OpenAPI document describes it, and the client is typed by it. Nothing here
 * reaches for the service, so a client can load it alone.
 */
export type Route = {
  /** What programs call it: its `operationId`, which is the name of its constant. */
  readonly name?: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With parameters as `:name`. */
  readonly url: `/${string}`;
  readonly access: RouteAccess;
  /** Concerns more than single managed accounts: callers who may act for some alone are refused. */
  readonly everyAccount?: true;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** Of an answer that is no problem; 200 where this is left out. */
  readonly status?: 200 | 201 | 202;
  readonly answer: z.ZodType;
  /** What the tracking id of the answer's thing begins with; its `id` follows. */
  readonly tracks?: string;
  /** Where the answer's thing is from now on, with fields of the answer as `:name`; told as `Location`. */
  readonly location?: `/${string}`;
  /** Codes of problems that it answers besides those that every route may (`routeErrors.ts`). */
  readonly errors?: readonly ErrorCode[];
  readonly examples?: RouteExamples;
};

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;

/** What the handler of a route is given, parsed. */
export type RouteInput<R extends Route> = {
  readonly params: Parsed<R["params"]>;
  readonly query: Parsed<R["query"]>;
  readonly body: Parsed<R["body"]>;
  /** Undefined where nobody had to prove who they are. */
  readonly caller: Caller | undefined;
  /** What the request is however often it comes; undefined without an Idempotency-Key. */
  readonly once: Once | undefined;
};

/** What the handler of a route answers, before it is put into JSON. */
export type RouteAnswer<R extends Route> = z.output<R["answer"]>;

declare module "fastify" {
  interface FastifyContextConfig {
    access?: RouteAccess;
    everyAccount?: boolean;
    /** Codes that the route may answer with. Where this is left out nothing is known of them. */
    errors?: ReadonlySet<ErrorCode>;
    examples?: RouteExamples | undefined;
    location?: string | undefined;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
    /** The code of the problem that it is answered with. */
    refusal: string | undefined;
    /** What it is about or has begun, where that is tracked. */
    tracking: TrackingId | undefined;
  }
}

/** Keeps the exact types of a route's parts. */
export function defineRoute<const R extends Route>(route: R): R {
  return route;
}
