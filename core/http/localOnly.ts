import { timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { LockstepError } from "../kernel/errors.ts";
import type { Redacted } from "../kernel/redacted.ts";

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);
const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);

declare module "fastify" {
  interface FastifyContextConfig {
    /** The route proves its sender by a signature inside the body, so it asks for no token. */
    selfAuthenticated?: boolean;
  }
}

/**
 * What a service without authentication owes the person who runs it: web pages in the same browser can reach loopback
 * too. A foreign Host (DNS rebinding) or Origin (another page) is refused, and whatever changes something needs the
 * token that was written at start-up, which a page cannot read.
 */
export function defendLocally(app: FastifyInstance, token: Redacted<string>): void {
  app.removeContentTypeParser("text/plain");
  app.addHook("onRequest", async (request) => {
    refuseForeign(request);
    if (readingMethods.has(request.method) || request.routeOptions.config.selfAuthenticated === true) return;
    if (request.is404) return;
    if (!matches(request.headers.authorization, `Bearer ${token.reveal()}`)) {
      throw new LockstepError("unauthorized", "send the start-up token as `Authorization: Bearer …`");
    }
  });
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
