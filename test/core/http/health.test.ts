import assert from "node:assert/strict";
import { it } from "node:test";
import { createHealthRoutes } from "#core/http/health.ts";
import { createHttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "#test/support/databases.ts";

it("health answers with reasons in words, also of what hangs, and tells nothing of errors that are not ours", async () => {
  const app = await createHttpServer({ title: "test", version: "0", description: "d", log: quietLog });
  const failing = async (error: Error) => {
    throw error;
  };
  await createHealthRoutes(() => [
    { name: "well", check: async () => undefined },
    { name: "warned", check: async () => ({ warning: "look at it" }) },
    { name: "hangs", check: () => new Promise(() => undefined) },
    { name: "away", check: () => failing(new LockstepError("database-unreachable", "the database cannot be reached")) },
    { name: "odd", check: () => failing(new Error("password is secret")) },
  ])(app);
  const answer = await app.inject("/health/ready");
  assert.equal(answer.statusCode, 503);
  assert.deepEqual(answer.json(), {
    status: "unready",
    checks: [
      { name: "well", ok: true },
      { name: "warned", ok: true, warning: "look at it" },
      { name: "hangs", ok: false, reason: "no answer within 4 s" },
      { name: "away", ok: false, reason: "the database cannot be reached" },
      { name: "odd", ok: false, reason: "the check failed" },
    ],
  });
  await app.close();
});
