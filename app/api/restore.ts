import type { z } from "zod";
import type { Restore, RestoreHold } from "#core/backup/hold.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Restoring } from "../restoring/restoring.ts";
import { releaseRestore, type restoreSchema, showRestore } from "./restoreRoutes.ts";

/** Serves `/v1/restore`. */
export function createRestoreRoutes(deps: {
  hold: RestoreHold;
  restoring: Pick<Restoring, "reason">;
}): (app: HttpServer) => Promise<void> {
  const { hold, restoring } = deps;
  const view = async () => viewOf(await hold.last(), await restoring.reason());
  return async (app) => {
    serve(app, showRestore, view);
    serve(app, releaseRestore, async ({ caller }) => {
      if (await hold.release(caller?.id ?? "nobody known")) return view();
      throw new LockstepError("not-found", "nothing is held by a restore");
    });
  };
}

function viewOf(restore: Restore | undefined, reason: string | undefined): z.output<typeof restoreSchema> {
  if (!restore) return { state: "none" };
  const { backup, takenAt, restoredAt, endedAt, position, resumesAfter, releaseAskedBy } = restore;
  return {
    ...{ state: endedAt ? "over" : "held", backup, position, resumesAfter },
    ...{ takenAt: takenAt.toISOString(), restoredAt: restoredAt.toISOString() },
    ...(reason !== undefined && { reason }),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
    ...(releaseAskedBy !== undefined && { releaseAskedBy }),
  };
}
