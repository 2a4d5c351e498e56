import { randomBytes, randomUUID } from "node:crypto";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Outbound } from "#core/http/outbound.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Registry } from "../registry/registry.ts";
import {
  deleteWebhook,
  findWebhook,
  insertWebhook,
  listWebhooks,
  resumeWebhook,
  type WebhookRow,
} from "../webhooks/tables.ts";
import { sealTarget } from "../webhooks/target.ts";
import { assertFilter } from "./events.ts";
import {
  addWebhook,
  getWebhook,
  listWebhookViews,
  removeWebhook,
  resumeWebhookRoute,
  type WebhookView,
} from "./webhookRoutes.ts";

type Deps = {
  readonly db: Db;
  readonly store: Pick<EventStore, "bounds">;
  readonly registry: Pick<Registry, "chains" | "lanes">;
  readonly sealer: Sealer;
  readonly outbound: Pick<Outbound, "check">;
  readonly clock: Clock;
  readonly maxWebhooks: number;
  /** Something may be due. */
  wake(): void;
};

/** Serves `/v1/webhooks`. */
export function createWebhookRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const { db, store, registry, sealer, outbound, clock } = deps;

  async function known(after: bigint | undefined): Promise<bigint> {
    const { last } = await store.bounds();
    if (after === undefined || after <= last) return after ?? last;
    throw new LockstepError("event-position-unknown", `after: the last event is ${last}`, {
      details: { field: "after", last },
    });
  }

  return async (app) => {
    serve(app, addWebhook, async ({ body: { url, filter, after }, once }) => {
      outbound.check(url);
      assertFilter({ registry }, filter);
      // What an earlier run made has a secret that nobody was told.
      if (once?.again) await deleteWebhook(db, once.id).catch(() => undefined);
      const [id, secret] = [once?.id ?? randomUUID(), `whsec_${randomBytes(32).toString("base64url")}`];
      const sealed = sealTarget(sealer, id, { url: redact(url), secret: redact(secret) });
      const row = { id, host: new URL(url).host, sealed, filter, position: await known(after) };
      if (!(await insertWebhook(db, { ...row, at: new Date(clock.now()), most: deps.maxWebhooks }))) {
        throw new LockstepError("webhooks-full", `there are ${deps.maxWebhooks} webhooks already`);
      }
      deps.wake();
      return { webhook: viewOf(await findWebhook(db, id)), secret };
    });
    serve(app, listWebhookViews, async () => ({ webhooks: (await listWebhooks(db)).map(viewOf) }));
    serve(app, getWebhook, async ({ params: { id } }) => viewOf(await findWebhook(db, id)));
    serve(app, resumeWebhookRoute, async ({ params: { id }, body }) => {
      const after = body?.after === undefined ? undefined : await known(body.after);
      await resumeWebhook(db, id, after, new Date(clock.now()));
      deps.wake();
      return viewOf(await findWebhook(db, id));
    });
    serve(app, removeWebhook, async ({ params: { id } }) => {
      const row = await findWebhook(db, id);
      await deleteWebhook(db, id);
      return viewOf(row);
    });
  };
}

function viewOf(row: WebhookRow): WebhookView {
  const { id, host, filter, state, position, failures, retryAt, reason, failedAt, deliveredAt, createdAt } = row;
  return {
    ...{ id, host, state, failures, position: position.toString(), createdAt: createdAt.toISOString() },
    filter: filter as WebhookView["filter"],
    ...(failures > 0 && state === "active" && { retryAt: retryAt.toISOString() }),
    ...(reason !== null && { reason }),
    ...(failedAt && { failedAt: failedAt.toISOString() }),
    ...(deliveredAt && { deliveredAt: deliveredAt.toISOString() }),
  };
}
