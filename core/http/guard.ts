import type { FastifyInstance, FastifyRequest } from "fastify";
import { LockstepError } from "../kernel/errors.ts";
import { type AccessRole, accessRoles, type Caller, includesRole, type RouteAccess } from "./access.ts";

/**
 * One way to prove who a request comes from. Answers undefined when the request carries nothing of its kind, and throws
 * `unauthorized` when it does and that is not right.
 */
export type Authenticator = (request: FastifyRequest) => Caller | undefined | Promise<Caller | undefined>;

/**
 * Lets a request reach its route only when one of the authenticators, asked in this order, knows who it comes from and
 * the caller's role includes the one that the route declares. Throws `unauthorized` or `forbidden`; the latter once all
 * hooks of `onRequest` have run, so that limits and the audit know whom they have before them.
 */
export function guardRoutes(app: FastifyInstance, authenticators: readonly Authenticator[]): void {
  // Most credentials are known without waiting, and a promise a request would be felt on the fastest routes.
  app.addHook("onRequest", (request, _reply, done) => {
    if (isOpen(request)) return done();
    const found = attempt(() => identify(request, authenticators, 0));
    if (found instanceof Error) return done(found);
    const note = (caller: Caller) => {
      request.caller = caller;
      done();
    };
    if (!(found instanceof Promise)) return note(found);
    found.then(note, (error: Error) => done(error));
  });
  app.addHook("preParsing", (request, _reply, payload, done) => {
    const refusal = isOpen(request) ? undefined : refusalOf(request);
    return refusal ? done(refusal) : done(null, payload);
  });
}

const isOpen = ({ is404, routeOptions: { config } }: FastifyRequest): boolean =>
  is404 || config.access === "anyone" || config.access === "signed";

/** Why the caller is not one whom the route takes. */
function refusalOf({ caller, routeOptions: { config } }: FastifyRequest): LockstepError | undefined {
  const { access, everyAccount } = config;
  // A route that declares nothing is refused when it is added; should one slip through, nobody may use it.
  if (!caller || access === undefined || !isRole(access) || !includesRole(caller.role, access)) {
    return new LockstepError("forbidden", `the role ${caller?.role} may not do this; it takes ${access}`, {
      details: { ...(caller && { role: caller.role }), ...(access && { needed: access }) },
    });
  }
  if (everyAccount && caller.accounts !== undefined) {
    return new LockstepError("forbidden", "the caller may act for some accounts alone, and this concerns all");
  }
  return undefined;
}

function identify(
  request: FastifyRequest,
  authenticators: readonly Authenticator[],
  from: number,
): Caller | Promise<Caller> {
  for (let at = from; at < authenticators.length; at++) {
    const found = authenticators[at]?.(request);
    if (found instanceof Promise) return found.then((caller) => caller ?? identify(request, authenticators, at + 1));
    if (found) return found;
  }
  throw new LockstepError("unauthorized", "the request carries no credentials that this service knows");
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error : new Error("an authenticator failed", { cause: error });
  }
}

const isRole = (access: RouteAccess): access is AccessRole => accessRoles.some((role) => role === access);
