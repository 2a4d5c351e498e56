import assert from "node:assert/strict";
import { it } from "node:test";
import { createHttpServer } from "#core/http/server.ts";
import { idOf } from "#swap/protocol/anyLock.ts";
import { createLockRoutes } from "#swap/watch/api.ts";
import { onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { blockOf, itemTerms, lockLog, payment, placeOf } from "#test/swap/locks/samples.ts";
import { watchWorld } from "#test/swap/watch/support.ts";

type Shown = { lockId: string; amount: string; asset: { type: string } };
type Answer = { locks: Shown[]; code?: string; field?: string; detail?: string; details?: { known?: string[] } };

await onDatabase("the routes of locks", (backend) => {
  const served = (work: (world: Awaited<ReturnType<typeof serve>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => {
      const world = await serve(database);
      await work(world);
      await world.app.close();
    });

  async function serve(database: Parameters<typeof watchWorld>[0]) {
    const world = await watchWorld(database);
    const app = await createHttpServer({ log: quietLog, title: "test", version: "1", description: "test" });
    await createLockRoutes(world)(app);
    const call = async (method: "GET" | "POST", url: string, payload?: object) => {
      const answer = await app.inject({ method, url, ...(payload && { payload }) });
      return { status: answer.statusCode, body: answer.json<Answer>() };
    };
    return { ...world, app, call };
  }

  it(
    "refuse filters by what is not there, naming the field and what is",
    served(async ({ call }) => {
      const refusals: [string, string, string, RegExp][] = [
        ["chain=gamma", "chain-unknown", "chain", /alpha, beta/],
        ["state=lost", "request-invalid", "state", /open.*claimed.*refunded/],
        ["watched=perhaps", "request-invalid", "watched", /true.*false/],
        ["chian=alpha", "request-invalid", "chian", /chian/],
      ];
      for (const [query, code, field, words] of refusals) {
        const { body } = await call("GET", `/v1/locks?${query}`);
        assert.deepEqual([body.code, body.field], [code, field]);
        assert.match(String(body.detail), words);
      }
      const known = (await call("GET", "/v1/locks?chain=gamma")).body.details?.known;
      assert.deepEqual(known, ["alpha", "beta"]);
      assert.deepEqual((await call("GET", "/v1/locks?chain=alpha")).body, { locks: [] });
    }),
  );

  it(
    "refuse an unknown chain in the path, and a body where none is taken",
    served(async ({ call, include, intents }) => {
      const lock = payment();
      const id = idOf(placeOf("alpha"), lock);
      await include("alpha", blockOf(10n, [lockLog("alpha", lock)]));
      const lost = await call("GET", `/v1/locks/gamma/${id}`);
      assert.deepEqual([lost.body.code, lost.body.field], ["chain-unknown", "chain"]);
      const junk = await call("POST", `/v1/locks/alpha/${id}/watch`, { tip: "5" });
      assert.deepEqual([junk.status, junk.body.code, junk.body.field], [400, "request-invalid", "tip"]);
      assert.equal(intents.size, 0);
      assert.equal((await call("POST", `/v1/locks/alpha/${id}/watch`, {})).status, 202);
    }),
  );

  it(
    "show an ERC-721 as one, as swaps do",
    served(async ({ call, include }) => {
      await include("alpha", blockOf(10n, [lockLog("alpha", { kind: "item", terms: itemTerms })]));
      const [shown] = (await call("GET", "/v1/locks")).body.locks;
      assert.deepEqual([shown?.asset.type, shown?.amount], ["erc721", "1"]);
    }),
  );
});
