import type { AuditLog } from "#core/http/audit/log.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { listAudit } from "./auditRoutes.ts";

/** Serves `/v1/audit`. */
export function createAuditRoutes(audit: Pick<AuditLog, "list">): (app: HttpServer) => Promise<void> {
  return async (app) => {
    serve(app, listAudit, async ({ query: { cursor, limit, ...filter } }) => {
      const lines = await audit.list(filter, cursor, limit);
      const last = lines.length === limit ? lines.at(-1) : undefined;
      return { lines, ...(last && { next: String(last.seq) }) };
    });
  };
}
