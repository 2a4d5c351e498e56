import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Db } from "#core/db/db.ts";
import type { Caller } from "#core/http/access.ts";
import { createIdempotencyKeys, type IdempotencyKeys } from "#core/http/idempotency/keys.ts";
import { createOnce, unlessDone } from "#core/http/idempotency/once.ts";
import { defineRoute } from "#core/http/route.ts";
import { serve } from "#core/http/serve.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { quietLog } from "#test/support/databases.ts";

export const shopTables = `
  CREATE TABLE orders (id text PRIMARY KEY, item text NOT NULL, place bigint GENERATED ALWAYS AS IDENTITY);
  CREATE TABLE closings (shop text PRIMARY KEY);
`;

/** `receipt` is another one in every run, so that answers of two runs differ. */
const order = z.object({ id: z.string(), item: z.string(), receipt: z.string() });
const create = defineRoute({
  ...{ method: "POST", url: "/v1/orders", access: "trader", tag: "t", summary: "s" },
  ...{ body: z.strictObject({ item: z.string() }), status: 202, answer: order },
});
const close = defineRoute({
  ...{ method: "POST", url: "/v1/shops/:shop/close", access: "trader", tag: "t", summary: "s" },
  ...{ params: z.object({ shop: z.string() }), answer: z.object({ closed: z.string() }) },
});

/** What may happen between the steps of a handler. */
export type Steps = {
  /** Before an effect is written. */
  before(item: string): Promise<void>;
  mark: Mark;
};

/** A server whose one table shows how often a request had its effect. The header `caller` says who asks. */
export async function openShop(
  db: Db,
  { leaseMs = 15_000, before = async () => undefined, mark = noMark }: Partial<Steps> & { leaseMs?: number } = {},
): Promise<{ app: HttpServer; keys: IdempotencyKeys }> {
  const sealer = createSealer(redact(new Uint8Array(32).fill(7)));
  const keys = createIdempotencyKeys({ db, sealer, log: quietLog, clock: systemClock, leaseMs });
  const options = { log: quietLog, title: "t", version: "1", description: "d" };
  const app = await createHttpServer({ ...options, idempotency: { keys, mark } });
  app.addHook("onRequest", async (request) => {
    request.caller = { id: String(request.headers.caller ?? "one"), role: "admin" } satisfies Caller;
  });
  const find = async (id: string) => {
    const [row] = await db.query<{ id: string; item: string }>("SELECT id, item FROM orders WHERE id = $1", [id]);
    return row && { ...row, receipt: randomUUID() };
  };
  serve(app, create, async ({ body: { item }, once }) => {
    if (item === "none") throw new LockstepError("balance-insufficient", "sold out");
    const id = await createOnce(once, {
      exists: async (each) => (await find(each)) !== undefined,
      async create(each) {
        await before(item);
        await db.query("INSERT INTO orders (id, item) VALUES ($1, $2)", [each, item]);
      },
    });
    if (item === "unshown") throw new LockstepError("conflict", "it was ordered, and cannot be shown now");
    const found = await find(id);
    if (!found) throw new Error("an order was written and is not there");
    return found;
  });
  serve(app, close, async ({ params: { shop }, once }) => {
    await unlessDone(once, ["conflict"], async () => {
      const made = await db.query("INSERT INTO closings (shop) VALUES ($1) ON CONFLICT DO NOTHING RETURNING shop", [
        shop,
      ]);
      if (made.length === 0) throw new LockstepError("conflict", "it is closed already");
    });
    return { closed: shop };
  });
  return { app, keys };
}
