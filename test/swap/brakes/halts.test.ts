import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { createHttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createHaltRoutes } from "#swap/brakes/api.ts";
import { createHalts, haltMigrations } from "#swap/brakes/halts.ts";
import { onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { hexOf } from "#test/swap/samples.ts";

type Answer = { id: string; reason: string; liftedAt?: string; code?: string; field?: string; halts: Answer[] };

const of = (type: string, digit: string) => ({
  ...{ chain: "beta", asset: { type, address: hexOf(digit, 20) }, reason: "x" },
});

await onDatabase("the kill switch", (backend) => {
  const served = (work: (world: Awaited<ReturnType<typeof serve>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => {
      const world = await serve(database);
      await work(world);
      await world.app.close();
    });

  async function serve({ db }: Awaited<ReturnType<typeof backend.open>>) {
    await migrate(db, haltMigrations);
    const app = await createHttpServer({ log: quietLog, title: "test", version: "1", description: "test" });
    const chains = {
      get(name: string, field?: string): never {
        if (name === "beta") return { chain: beta } as never;
        throw new LockstepError("chain-unknown", `there is no chain "${name}"`, { details: { field } });
      },
    };
    const contracts = new Map<Hex, string>([
      [hexOf("d", 20), "0xdd62ed3e 0x70a08231"],
      [hexOf("e", 20), "0x01ffc9a7 0x80ac58cd"],
      // It has balances, as an ERC-721 has, and no allowances.
      [hexOf("f", 20), "0x70a08231"],
    ]);
    let isDown = false;
    const beta = {
      name: "beta",
      async account(address: Hex) {
        if (isDown) throw new LockstepError("chain-unreachable", "beta is down");
        return { balance: 0n, nonce: 0, hasCode: contracts.has(address.toLowerCase() as Hex) };
      },
      async call({ to, data = "0x" }: { to: Hex; data?: Hex }) {
        const code = contracts.get(to.toLowerCase() as Hex) ?? "";
        if (!code.includes(data.slice(0, 10))) throw new LockstepError("call-reverted", "the call reverts");
        const supported = data.startsWith("0x01ffc9a7") && code.includes(data.slice(10, 18));
        return `0x${(supported ? "1" : "0").padStart(64, "0")}`;
      },
    };
    const halts = createHalts({ db, clock: systemClock });
    await createHaltRoutes({ halts, chains, keyStore: { names: () => ["alice", "bob"] } })(app);
    const call = async (method: "GET" | "PUT" | "DELETE", path: string, body?: unknown) => {
      const payload = body === undefined ? {} : { payload: body as object };
      const answer = await app.inject({ method, url: path, ...payload });
      return { status: answer.statusCode, body: answer.json<Answer>() };
    };
    const standing = async () => (await call("GET", "/v1/halts")).body.halts;
    return {
      ...{ app, call, standing },
      breakDown() {
        isDown = true;
      },
    };
  }

  it(
    "takes an account, a chain, an asset or everything, and shows what stands",
    served(async ({ call, standing }) => {
      const token = { type: "erc20", address: hexOf("d", 20) };
      for (const scope of [{ account: "bob" }, { chain: "beta" }, { chain: "beta", asset: token }, {}]) {
        const { status, body } = await call("PUT", "/v1/halts", { ...scope, reason: "drill" });
        assert.equal(status, 200, JSON.stringify(body));
        const [found] = (await standing()).filter(({ id }) => id === body.id);
        const { id: _id, since: _since, ...shown } = found as Answer & { since?: string };
        assert.deepEqual(
          JSON.stringify({ ...shown, reason: "drill" }).toLowerCase(),
          JSON.stringify({ ...scope, reason: "drill" }).toLowerCase(),
        );
      }
      assert.equal((await standing()).length, 4);
    }),
  );

  it(
    "is the same said twice, and by two at once, with the last reason",
    served(async ({ call, standing }) => {
      const put = (reason: string) => call("PUT", "/v1/halts", { chain: "beta", reason });
      const [one, two] = await Promise.all([put("one"), put("two")]);
      const third = await put("three");
      assert.equal(one.body.id, third.body.id);
      assert.equal(two.body.id, third.body.id);
      assert.deepEqual(
        (await standing()).map(({ reason }) => reason),
        ["three"],
      );
    }),
  );

  it(
    "is lifted by its id, once and for all; a new one is another",
    served(async ({ call, standing }) => {
      const { body } = await call("PUT", "/v1/halts", { account: "bob", reason: "drill" });
      const first = await call("DELETE", `/v1/halts/${body.id}`);
      assert.ok(first.body.liftedAt);
      assert.deepEqual(await call("DELETE", `/v1/halts/${body.id}`), first);
      assert.deepEqual(await standing(), []);
      const again = await call("PUT", "/v1/halts", { account: "bob", reason: "drill" });
      assert.notEqual(again.body.id, body.id);
      await call("DELETE", `/v1/halts/${body.id}`);
      assert.equal((await standing()).length, 1, "an old id does not lift a new halt");
    }),
  );

  it(
    "halts a collection as well as one token of it, and any asset while the chain does not answer",
    served(async ({ call, standing, breakDown }) => {
      const items = of("erc721", "e");
      for (const body of [items, { ...items, asset: { ...items.asset, tokenId: "7" } }]) {
        assert.equal((await call("PUT", "/v1/halts", body)).status, 200);
      }
      breakDown();
      assert.equal((await call("PUT", "/v1/halts", of("erc20", "a"))).status, 200);
      assert.equal((await standing()).length, 3);
    }),
  );

  const token = { type: "erc20", address: hexOf("d", 20) };
  const refused: [string, unknown, string, string][] = [
    ["an account that is not there", { account: "mallory", reason: "x" }, "account-unknown", "account"],
    ["a chain that is not there", { chain: "gamma", reason: "x" }, "chain-unknown", "chain"],
    ["an asset without its chain", { asset: token, reason: "x" }, "request-invalid", "chain"],
    ["an account and a chain", { account: "bob", chain: "beta", reason: "x" }, "request-invalid", "account"],
    ["no reason", { account: "bob" }, "request-invalid", "reason"],
    ["an empty reason", { account: "bob", reason: "" }, "request-invalid", "reason"],
    ["words that no database takes", { account: "bob", reason: "a\u0000" }, "request-invalid", "reason"],
    ["what it does not know", { acount: "bob", reason: "x" }, "request-invalid", "acount"],
    ["an address without code", of("erc20", "a"), "token-invalid", "asset.address"],
    ["a contract that is no ERC-20", of("erc20", "f"), "token-invalid", "asset.address"],
    ["an ERC-721 said to be an ERC-1155", of("erc1155", "e"), "token-invalid", "asset.address"],
    ["an ERC-20 said to be an ERC-721", { ...of("erc721", "d") }, "token-invalid", "asset.address"],
    [
      "an address that is none",
      { chain: "beta", asset: { type: "erc20", address: "0x1" }, reason: "x" },
      "request-invalid",
      "asset.address",
    ],
    ["nothing", null, "request-invalid", "body"],
  ];
  it(
    "refuses wrong input by code and field, and halts nothing then",
    served(async ({ call, standing }) => {
      for (const [what, body, code, field] of refused) {
        const answer = await call("PUT", "/v1/halts", body ?? undefined);
        assert.deepEqual([answer.body.code, answer.body.field], [code, field], what);
      }
      const unknown = await call("DELETE", "/v1/halts/nothing");
      assert.deepEqual([unknown.status, unknown.body.code, unknown.body.field], [404, "not-found", "id"]);
      assert.deepEqual(await standing(), []);
    }),
  );
});
