import { z } from "zod";
import { type Problem, problemSchema } from "#core/http/problem.ts";
import { readAtMost } from "#core/http/readAtMost.ts";
import type { Route, RouteAnswer } from "#core/http/route.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type ErrorCode, errorTable, isRetryable, LockstepError } from "#core/kernel/errors.ts";
import { parseJson, toJson } from "#core/kernel/json.ts";
import type { Given } from "./given.ts";
import type { Places } from "./places.ts";

/** A request before it goes out. */
type Outgoing = {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly body: string | undefined;
};

/** Headers that prove who a request comes from. Asked anew for each attempt: signatures carry a time. */
export type Authorize = (
  request: Outgoing,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

type GivenPart<R extends Route, Part extends "params" | "query" | "body"> = R[Part] extends z.ZodType
  ? undefined extends z.input<R[Part]>
    ? { readonly [K in Part]?: Given<z.input<R[Part]>> }
    : Record<never, never> extends z.input<R[Part]>
      ? { readonly [K in Part]?: Given<z.input<R[Part]>> }
      : { readonly [K in Part]: Given<z.input<R[Part]>> }
  : Record<never, never>;

/** What a route is called with; parts that the route does not have are left out, as are those that may be empty. */
export type RouteCall<R extends Route> = GivenPart<R, "params"> & GivenPart<R, "query"> & GivenPart<R, "body">;

export type CallOptions = {
  readonly signal?: AbortSignal;
  /** Of a request that changes something; made anew for each call when left out, and the same for all its attempts. */
  readonly idempotencyKey?: string;
};

/**
 * Calls a route of a service. The answer is parsed by the route's own schema. Throws the service's error with its code,
 * `service-unreachable` when there is no answer, `service-answer-invalid` for one that does not fit.
 */
export type CallRoute = <R extends Route>(
  route: R,
  call: RouteCall<R>,
  options?: CallOptions,
) => Promise<RouteAnswer<R>>;

type Deps = {
  readonly url: string;
  readonly authorize: Authorize;
  /** For one attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** After the first. */
  readonly retries: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly places: Places;
};

/** A page of a list with its timelines can be long; an answer beyond this is not from a service of ours. */
const longestAnswer = 32 * 1024 * 1024;
const firstPauseMs = 200;
const longestPauseMs = 10_000;

export function createCall(deps: Deps): CallRoute {
  return async (route, call, options = {}) => {
    const { params, query, body } = call as { params?: object; query?: object; body?: unknown };
    const outgoing = {
      method: route.method,
      path: pathOf(route.url, params, query),
      body: body === undefined ? undefined : toJson(body),
    };
    const key = route.method === "GET" ? undefined : (options.idempotencyKey ?? crypto.randomUUID());
    for (let attempt = 0; ; attempt++) {
      try {
        return await once(deps, route, outgoing, key, options.signal);
      } catch (error) {
        if (attempt >= deps.retries || !isWorthAgain(error) || options.signal?.aborted) throw error;
        await deps.clock.sleep(pauseMs(error, attempt), options.signal);
      }
    }
  };
}

async function once<R extends Route>(
  deps: Deps,
  route: R,
  outgoing: Outgoing,
  key: string | undefined,
  signal: AbortSignal | undefined,
): Promise<RouteAnswer<R>> {
  const response = await reach(deps, outgoing, key, signal);
  const text = await readAtMost(response, longestAnswer).catch((error) => {
    throw unreachable(deps.url, outgoing, error);
  });
  const answer = text === undefined ? undefined : parseJson(text);
  if (!response.ok) throw errorOf(outgoing, response, problemSchema.safeParse(answer).data);
  const parsed = z.safeDecode(route.answer, answer as never);
  if (parsed.success) return parsed.data as RouteAnswer<R>;
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join(".") || "answer";
  throw new LockstepError(
    "service-answer-invalid",
    `${route.method} ${route.url}: ${field} of the answer: ${issue?.message ?? "not valid"}`,
    { details: { field } },
  );
}

async function reach(
  { url, authorize, timeoutMs, fetch, places }: Deps,
  outgoing: Outgoing,
  key: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { method, path, body } = outgoing;
  const headers = {
    accept: "application/json",
    ...(body !== undefined && { "content-type": "application/json" }),
    ...(key !== undefined && { "idempotency-key": key }),
    ...places.header(),
    ...(await authorize(outgoing)),
  };
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(new URL(path, url), {
      ...{ method, headers, redirect: "error", signal: signal ? AbortSignal.any([signal, late]) : late },
      ...(body !== undefined && { body }),
    });
    places.answered(response);
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable(url, outgoing, error);
  }
}

/** A path with its parameters in place, and the query behind it. */
function pathOf(url: string, params: object = {}, query: object = {}): string {
  const values = new Map<string, unknown>(Object.entries(params));
  const path = url.replace(/:([a-zA-Z]+)/g, (_, name: string) => encodeURIComponent(String(values.get(name))));
  const search = new URLSearchParams(
    Object.entries(query).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    ),
  );
  return search.size > 0 ? `${path}?${search}` : path;
}

type Place = Pick<Outgoing, "method" | "path">;

export function unreachable(url: string, { method, path }: Place, cause?: unknown): LockstepError {
  const { origin } = new URL(url);
  const why = reasonOf(cause);
  const message = `${method} ${path}: the service at ${origin} does not answer${why === undefined ? "" : ` (${why})`}`;
  return new LockstepError("service-unreachable", message, {
    details: { origin, ...(why !== undefined && { reason: why }) },
    ...(cause !== undefined && { cause }),
  });
}

/** As the network says it, e.g. `ECONNREFUSED` or `DEPTH_ZERO_SELF_SIGNED_CERT`; `fetch` has it one cause deeper. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "TimeoutError") return "timeout";
  return "code" in error && typeof error.code === "string" ? error.code : reasonOf(error.cause);
}

const isKnown = (code: string): code is ErrorCode => Object.hasOwn(errorTable, code);

/** The error that a service answered with. */
export function errorOf({ method, path }: Place, response: Response, problem: Problem | undefined): LockstepError {
  const after = Number(response.headers.get("retry-after") ?? Number.NaN);
  const details = {
    status: response.status,
    ...(Number.isFinite(after) && { retryAfterSeconds: after }),
    ...(problem?.field !== undefined && { field: problem.field }),
  };
  if (problem && isKnown(problem.code)) {
    return new LockstepError(problem.code, problem.detail, { details: { ...wordsOf(problem.details), ...details } });
  }
  const told = problem ? `${problem.code}: ${problem.detail}` : "and no problem document";
  return new LockstepError(
    response.status >= 500 ? "service-unreachable" : "service-answer-invalid",
    `${method} ${path} was answered with ${response.status} ${told}`,
    { details },
  );
}

/** The details of a problem that an error of ours can carry. */
function wordsOf(details: Readonly<Record<string, unknown>> = {}): Record<string, string | number | boolean> {
  const simple = (entry: [string, unknown]): entry is [string, string | number | boolean] =>
    ["string", "number", "boolean"].includes(typeof entry[1]);
  return Object.fromEntries(Object.entries(details).filter(simple));
}

/**
 * A request is sent again where the service says that this can help now. What needs the world to change first, as a
 * conflict does, is the caller's to decide.
 */
function isWorthAgain(error: unknown): boolean {
  if (!(error instanceof LockstepError) || !isRetryable(error)) return false;
  // The first attempt is still at work, or died: the same key gets its answer, or runs it.
  if (error.code === "idempotency-key-busy") return true;
  const { status }: { status: number } = errorTable[error.code];
  return status === 429 || status >= 502;
}

function pauseMs(error: unknown, attempt: number): number {
  const asked = error instanceof LockstepError ? error.details.retryAfterSeconds : undefined;
  if (typeof asked === "number") return Math.min(asked * 1_000, 60_000);
  return Math.min(firstPauseMs * 2 ** attempt, longestPauseMs) * (0.5 + Math.random() / 2);
}
