import type { AuditLog } from "#core/http/audit/log.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { listAudit } from "./auditRoutes.ts";

/** Serves `/v1/audit`. */
export function createAuditRoutes(audit: Pick<AuditLog, "list">): (app: HttpServer) => Promise<void> {
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return async (app) => {
    serve(app, listAudit, async ({ query: { cursor, limit, caller, route, from, to } }) => {
      const lines = await audit.list({ caller, route, from: time(from), to: time(to) }, cursor, limit);
      const last = lines.length === limit ? lines.at(-1) : undefined;
      return { lines, ...(last && { next: String(last.seq) }) };
    });
  };
}
