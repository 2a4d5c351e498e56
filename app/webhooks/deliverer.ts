import { randomUUID } from "node:crypto";
import type { Db } from "#core/db/db.ts";
import { select } from "#core/events/filter.ts";
import { createPages } from "#core/events/pages.ts";
import type { Show, ShownEvent } from "#core/events/shown.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Outbound } from "#core/http/outbound.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { Part } from "../lifecycle.ts";
import { retryInMs, signDelivery } from "./signature.ts";
import {
  failWebhook,
  type Hold,
  listWebhooks,
  moveWebhook,
  releaseWebhooks,
  takeWebhook,
  type WebhookRow,
} from "./tables.ts";
import { openTarget, type Target } from "./target.ts";

/** Why a webhook is dead whose URL cannot be known any more. */
const unopened = "no configured sealing key opens its URL";

export type DelivererDeps = {
  readonly db: Db;
  readonly store: Pick<EventStore, "readAll" | "onAppended" | "bounds">;
  readonly show: Show;
  readonly sealer: Sealer;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly log: Log;
  /** Failures in a row after which a webhook stops. */
  readonly attempts: number;
  /** Milliseconds that one process has a webhook for; longer than a delivery can take. */
  readonly holdMs: number;
};

/**
 * Sends events to webhooks: in order, each at least once. What was taken is written down before the next is sent, and one
 * process at a time has a webhook; when that one dies another goes on after `holdMs`, with the event that was under way.
 */
export function createDeliverer(deps: DelivererDeps): Part & { wake(): void } {
  const { db, store, sealer, outbound, clock, log, attempts, holdMs } = deps;
  const holder = randomUUID();
  const readPage = createPages(deps);
  const working = new Map<string, Promise<void>>();
  let loop: Loop | undefined;
  let stopped = false;
  let areAny = true;
  let unsubscribe: () => void = () => undefined;

  const hold = (): Hold => {
    const now = clock.now();
    return { holder, now: new Date(now), until: new Date(now + holdMs) };
  };

  async function fail(row: WebhookRow, reason: string, failures: number): Promise<void> {
    const now = clock.now();
    const dead = failures >= attempts || reason === "gone" || reason === unopened;
    const retryAt = new Date(now + retryInMs(failures));
    await failWebhook(db, row, { holder, reason, at: new Date(now), retryAt, dead });
    log[dead ? "error" : "warn"]({ webhook: row.id, failures, reason, dead }, "a webhook's receiver took no event");
  }

  function opened(row: WebhookRow): Target | undefined {
    try {
      return openTarget(sealer, row);
    } catch {
      return undefined;
    }
  }

  /** Why the receiver did not take the event; undefined when it did. */
  async function send(row: WebhookRow, target: Target, event: ShownEvent): Promise<string | undefined> {
    const headers = {
      "content-type": "application/json",
      "user-agent": "lockstep",
      "lockstep-webhook-id": row.id,
      "lockstep-event-id": event.position.toString(),
      "lockstep-signature": signDelivery(target.secret.reveal(), unixSeconds(clock), event.text),
    };
    try {
      const status = await outbound.post(target.url.reveal(), { body: event.text, headers });
      if (status >= 200 && status < 300) return undefined;
      return status === 410 ? "gone" : `status ${status}`;
    } catch (error) {
      if (isLockstepError(error, "receiver-failed")) return String(error.details.reason);
      return isLockstepError(error) ? error.code : "unreachable";
    }
  }

  /** Delivers until everything is, something fails, or it is somebody else's. */
  async function work(id: string): Promise<void> {
    const row = await takeWebhook(db, id, hold());
    if (!row) return;
    const target = opened(row);
    if (!target) return fail(row, unopened, row.failures + 1);
    let { position, failures } = row;
    while (!stopped) {
      const page = await readPage(position);
      if (page.upTo === position) return;
      for (const event of select(page.events, row.filter)) {
        if (stopped) return;
        const reason = await send(row, target, event);
        if (reason !== undefined) return fail(row, reason, failures + 1);
        failures = 0;
        if (!(await moveWebhook(db, row, event.position, { ...hold(), delivered: true }))) return;
      }
      position = page.upTo;
      if (!(await moveWebhook(db, row, position, { ...hold(), delivered: false }))) return;
    }
  }

  async function step() {
    const all = await listWebhooks(db);
    areAny = all.length > 0;
    for (const { id, state, retryAt } of all) {
      if (state !== "active" || retryAt.getTime() > clock.now() || working.has(id)) continue;
      const done = work(id)
        .catch((error: unknown) => log.warn({ err: error, webhook: id }, "a webhook could not be worked on"))
        .finally(() => working.delete(id));
      working.set(id, done);
    }
    return "idle" as const;
  }

  return {
    start() {
      const onError = (error: unknown) => log.warn({ err: error }, "webhooks could not be read, trying again");
      loop = startLoop({ step, clock, idleMs: 1_000, onError });
      unsubscribe = store.onAppended(() => {
        // Those that other processes make are found at the next look.
        if (areAny) loop?.wake();
      });
    },
    wake: () => loop?.wake(),
    async stop() {
      stopped = true;
      unsubscribe();
      await loop?.stop();
      await Promise.all(working.values());
      await releaseWebhooks(db, holder, new Date(clock.now()));
      outbound.close();
    },
  };
}
