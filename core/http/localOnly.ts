import { timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LockstepError } from "../kernel/errors.ts";
import type { Redacted } from "../kernel/redacted.ts";
import type { Authenticator } from "./guard.ts";

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);
const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * What a service without authentication owes the person who runs it: web pages in the same browser can reach loopback
 * too. A foreign Host (DNS rebinding) or Origin (another page) is refused, and so are bodies that a page's form can send.
 */
export function refusePages(app: FastifyInstance): void {
  app.addHook("onRequest", async (request) => refuseForeign(request));
}

/**
 * Whoever is on this machine may look; what changes something needs the token that was written at start-up, which a
 * page cannot read, and which may do everything.
 */
export function localAuthenticator(token: Redacted<string>): Authenticator {
  return (request) => {
    const { authorization } = request.headers;
    if (authorization === undefined && readingMethods.has(request.method)) return { id: "local", role: "viewer" };
    if (matches(authorization, `Bearer ${token.reveal()}`)) return { id: "local", role: "admin" };
    throw new LockstepError("unauthorized", "send the start-up token as `Authorization: Bearer …`");
  };
}

function refuseForeign(request: FastifyRequest): void {
  const host = request.headers.host ?? "";
  if (!loopbackNames.has(host.replace(/:\d+$/, ""))) {
    throw new LockstepError("origin-refused", "the Host header must name this machine's loopback address");
  }
  const { origin } = request.headers;
  if (origin !== undefined && origin !== `http://${host}`) {
    throw new LockstepError("origin-refused", "requests from pages of another origin are refused");
  }
}

function matches(given: string | undefined, wanted: string): boolean {
  const a = Buffer.from(given ?? "");
  const b = Buffer.from(wanted);
  return a.length === b.length && timingSafeEqual(a, b);
}
