import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { createClient, createSecret } from "#app/client/index.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { errorTable, isLockstepError } from "#core/kernel/errors.ts";
import { hexOf } from "#test/swap/samples.ts";

type Seen = { readonly url: string; readonly method: string; readonly headers: Headers; readonly body: string | null };
type Reply = Response | "down" | "silent";

const problem = (code: string, status: number, headers: Record<string, string> = {}) =>
  new Response(
    JSON.stringify(
      problemSchema.parse({
        ...{ type: `urn:lockstep:error:${code}`, title: "t", status, code, detail: "why", field: "amount" },
        retryable: status >= 500,
      }),
    ),
    { status, headers },
  );
const halt = { id: "h", reason: "because", since: "2026-01-01T00:00:00.000Z" };
const good = (body: unknown = halt) => new Response(JSON.stringify(body));

/** A service that gives these answers one after the other, and a clock that only writes down how long it was asked to sleep. */
function serviceOf(replies: readonly Reply[], options: { retries?: number } = {}) {
  const seen: Seen[] = [];
  const slept: number[] = [];
  const clock: Clock = { now: () => 0, sleep: async (ms) => void slept.push(ms) };
  const rest = [...replies];
  const client = createClient({
    url: "http://service.test:7600/",
    token: "the-token",
    clock,
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers);
      seen.push({ url: String(input), method: init?.method ?? "", headers, body: (init?.body as string) ?? null });
      const reply = rest.shift();
      if (reply === "silent") throw new DOMException("late", "TimeoutError");
      if (reply === undefined || reply === "down") throw new TypeError("fetch failed");
      return reply;
    },
    ...options,
  });
  return { client, seen, slept };
}

const mayRepeat = (code: string, status: number) =>
  code === "idempotency-key-busy" || [429, 502, 503, 504].includes(status);
const coded = (code: string) => (error: unknown) => isLockstepError(error, code as never);

describe("a call of the client", () => {
  it("sends amounts as decimal strings, wherever bigints stand", async () => {
    const { client, seen } = serviceOf(["down"], { retries: 0 });
    await assert.rejects(
      client.swaps.request({
        source: {
          chain: "alpha",
          asset: { type: "erc1155", address: hexOf("1", 20), tokenId: 2n ** 200n },
          amount: 3n,
        },
        target: { chain: "beta", asset: { type: "native" }, amount: "4", tip: 5n },
        initiator: { account: "alice" },
        counterparty: { account: "bob" },
      }),
      coded("service-unreachable"),
    );
    const body = JSON.parse(seen[0]?.body ?? "");
    assert.deepEqual(body.source.asset.tokenId, (2n ** 200n).toString());
    assert.deepEqual([body.source.amount, body.target.amount, body.target.tip], ["3", "4", "5"]);
  });

  it("tries again under one idempotency key, and another call has another", async () => {
    const { client, seen, slept } = serviceOf([
      ...(["down", "silent", problem("shutting-down", 503), good()] as const),
      good(),
    ]);
    await client.halts.put({ reason: "because" });
    await client.halts.put({ reason: "because" });
    const keys = seen.map(({ headers }) => headers.get("idempotency-key"));
    assert.equal(new Set(keys.slice(0, 4)).size, 1);
    assert.ok(keys[0] && keys[4] && keys[4] !== keys[0]);
    assert.equal(slept.length, 3);
    assert.ok(seen.every(({ headers }) => headers.get("authorization") === "Bearer the-token"));
  });

  it("waits as long as the service asks for, up to a minute", async () => {
    const { client, slept } = serviceOf([
      problem("shutting-down", 503, { "retry-after": "7" }),
      problem("shutting-down", 503, { "retry-after": "86400" }),
      good({ halts: [] }),
    ]);
    await client.halts.list();
    assert.deepEqual(slept, [7_000, 60_000]);
  });

  it("gives up after its attempts, and with what cannot be helped at once", async () => {
    const down = serviceOf(["down", "down", "down"], { retries: 2 });
    await assert.rejects(down.client.halts.list(), coded("service-unreachable"));
    assert.equal(down.seen.length, 3);
    for (const [code, { status }] of Object.entries(errorTable)) {
      const { client, seen } = serviceOf([problem(code, status)], { retries: 3 });
      await assert.rejects(client.halts.list(), (error) => {
        assert.ok(isLockstepError(error));
        const repeated = seen.length > 1;
        assert.equal(error.code, repeated ? "service-unreachable" : code);
        if (!repeated) assert.deepEqual([error.message, error.details.field], ["why", "amount"]);
        assert.ok(!repeated || mayRepeat(code, status), `${code} is not to be repeated`);
        return true;
      });
    }
  });

  it("refuses answers that do not fit the route, and codes of other versions", async () => {
    for (const [reply, code] of [
      [new Response("<html>"), "service-answer-invalid"],
      [good({ halts: [{ id: 1 }] }), "service-answer-invalid"],
      [good({}), "service-answer-invalid"],
      [problem("not-in-the-table", 418), "service-answer-invalid"],
      [new Response("gateway", { status: 502 }), "service-unreachable"],
    ] as const) {
      const { client } = serviceOf([reply], { retries: 0 });
      await assert.rejects(client.halts.list(), coded(code));
    }
  });

  it("puts parameters and queries where they cannot become something else", async () => {
    const { client, seen } = serviceOf(["down", "down"], { retries: 0 });
    await assert.rejects(client.halts.lift("../chains?x=1#y"));
    await assert.rejects(client.messages.list({ origin: "a&b=c", limit: 5, status: undefined as never }));
    assert.deepEqual(
      seen.map(({ url }) => new URL(url).pathname + new URL(url).search),
      ["/v1/halts/..%2Fchains%3Fx%3D1%23y", "/v1/messages?origin=a%26b%3Dc&limit=5"],
    );
  });

  it("reads all pages of a list", async () => {
    const lock = (id: string) => ({ messages: [], next: id });
    const { client, seen } = serviceOf([good(lock("9")), good(lock("5")), good({ messages: [] })]);
    for await (const _ of client.messages.each({ origin: "alpha" })) assert.fail("there are none");
    assert.deepEqual(
      seen.map(({ url }) => new URL(url).search),
      ["?origin=alpha", "?origin=alpha&cursor=9", "?origin=alpha&cursor=5"],
    );
  });
});

describe("a secret", () => {
  it("goes where the calldata has room for it, and shows nowhere else", () => {
    const secret = createSecret(hexOf("5"));
    const data = `0x${"11".repeat(4)}${"00".repeat(32)}${"22".repeat(3)}` as const;
    assert.equal(secret.within(data, 4), `0x${"11".repeat(4)}${"55".repeat(32)}${"22".repeat(3)}`);
    assert.equal(createSecret(secret.reveal()).hashlock, secret.hashlock);
    assert.notEqual(createSecret().hashlock, createSecret().hashlock);
    for (const text of [inspect(secret, { showHidden: true, depth: 9 }), JSON.stringify(secret), String(secret)]) {
      assert.ok(!text.includes("5".repeat(64)), text);
    }
    assert.throws(() => createSecret("0x1234"), RangeError);
  });
});
