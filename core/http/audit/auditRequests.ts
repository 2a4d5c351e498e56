import { createHash, randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../observe/log.ts";
import { addressGroup } from "../addresses.ts";
import type { AuditEntry } from "./chain.ts";
import type { AuditLog } from "./log.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Names the request in the audit once its first line is there. */
    audited: string | undefined;
  }
}

const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);
/** Lines that sum up what came of the same address in one way, between two times that they are written. */
const mostGroups = 50;

type Refusals = { count(entry: AuditEntry): void; flush(): Promise<void> };

/**
 * Writes who asked for what and what came of it, of every request that may change something: a line before the handler
 * runs, without which it does not, and one before the answer leaves. What is refused to nobody known, or for coming too
 * often, is counted instead and written by `flush`, so that nobody can fill the disk with it.
 */
export function auditRequests(app: FastifyInstance, deps: { audit: Pick<AuditLog, "write">; clock: Clock; log: Log }) {
  const { audit, clock, log } = deps;
  const refusals = createRefusals(deps);
  app.decorateRequest("audited", undefined);
  async function begin(request: FastifyRequest): Promise<void> {
    const id = randomUUID();
    await audit.write({ ...entryOf(request, clock), kind: "begun", request: id });
    request.audited = id;
  }
  async function end(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const entry = { ...entryOf(request, clock), ...outcomeOf(request, reply) };
    if (!request.caller || request.refusal === "rate-limited") return refusals.count(entry);
    const kind = request.audited ? ("answered" as const) : ("refused" as const);
    // What was begun is written already, and has happened: its sender shall know.
    await audit
      .write({ ...entry, kind, request: request.audited ?? randomUUID() })
      .catch((error: unknown) => log.error({ err: error, ...entry }, "a line of the audit could not be written"));
  }
  // What only reads is not to wait for a promise.
  app.addHook("preHandler", (request, _reply, done) => {
    if (readingMethods.has(request.method) || !request.caller) return done();
    return begin(request);
  });
  app.addHook("onSend", (request, reply, payload, done) => {
    if (readingMethods.has(request.method)) return done(null, payload);
    return end(request, reply);
  });
  return { flush: refusals.flush };
}

function createRefusals({ audit, clock }: { audit: Pick<AuditLog, "write">; clock: Clock }): Refusals {
  let groups = new Map<string, AuditEntry>();
  return {
    count({ caller, address, method, route, status, code, ...rest }) {
      const named = { caller, address: address && addressGroup(address), method, route, status, code };
      const nobody = { caller: null, address: null, method: null, route: null, status, code };
      const isNew = !groups.has(JSON.stringify(named));
      const group = isNew && groups.size >= mostGroups ? nobody : named;
      const key = JSON.stringify(group);
      const count = (groups.get(key)?.count ?? 0) + 1;
      const unsaid = { params: null, idempotencyKey: null, body: null, durationMs: null };
      groups.set(key, { ...rest, ...group, ...unsaid, kind: "counted", count });
    },
    async flush() {
      const entries = [...groups.values()];
      groups = new Map();
      await Promise.all(entries.map((entry) => audit.write({ ...entry, request: randomUUID(), at: clock.now() })));
    },
  };
}

function entryOf(request: FastifyRequest, clock: Clock): AuditEntry {
  const { caller, ip, method, routeOptions, params, query, headers, bodyDigest } = request;
  const named = { ...(query as object), ...(params as object) };
  const key = headers["idempotency-key"];
  return {
    ...{ kind: "refused", request: "", at: clock.now(), caller: caller?.id ?? null, address: ip, method },
    route: routeOptions.url ?? null,
    params: Object.keys(named).length > 0 ? JSON.stringify(named, (_key, value) => textOf(value)) : null,
    idempotencyKey: typeof key === "string" ? createHash("sha256").update(key).digest("hex") : null,
    body: bodyDigest?.toString("hex") ?? null,
    ...{ status: null, code: null, durationMs: null, count: 1 },
  };
}

const textOf = (value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

const outcomeOf = ({ refusal }: FastifyRequest, { statusCode, elapsedTime }: FastifyReply) => ({
  status: statusCode,
  code: refusal ?? null,
  durationMs: Math.round(elapsedTime),
});
