import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { onDatabase } from "../support/databases.ts";
import { type Harness, openHarness, openSites, type Sites, type WireMessage } from "./harness.ts";

type Problem = { code: string; field?: string; details?: Record<string, unknown> };

await onDatabase("requests for messages", (backend) => {
  let sites: Sites;
  let h: Harness;
  before(async () => {
    sites = await openSites();
    h = await openHarness(backend, sites);
  });
  after(async () => {
    await h?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  const good = () => ({
    origin: "alpha",
    destination: "beta",
    recipient: sites.beta.contracts.recorder,
    payload: "0x",
  });
  const counts = async () => {
    const [row] = await h.db.query(
      "SELECT (SELECT count(*) FROM events) AS e, (SELECT count(*) FROM sender_intent) AS i",
    );
    return row;
  };

  it("refuses with a code and the field, and writes nothing", async () => {
    const before = await counts();
    const refusals: [Record<string, unknown>, string, string][] = [
      [{ origin: "gamma" }, "chain-unknown", "origin"],
      [{ destination: "gamma" }, "chain-unknown", "destination"],
      [{ destination: "alpha" }, "request-invalid", "destination"],
      [{ recipient: "0x1234" }, "request-invalid", "recipient"],
      [{ recipient: `0x${"aB".repeat(20)}` }, "request-invalid", "recipient"],
      [{ payload: "0x123" }, "request-invalid", "payload"],
      [{ payload: `0x${"00".repeat(16_385)}` }, "payload-too-long", "payload"],
      [{ gasLimit: "5000001" }, "gas-limit-too-high", "gasLimit"],
      [{ gasLimit: "0" }, "request-invalid", "gasLimit"],
      [{ gasLimit: 200_000 }, "request-invalid", "gasLimit"],
      [{ account: "nobody" }, "account-unknown", "account"],
      [{ extra: 1 }, "request-invalid", "extra"],
    ];
    for (const [change, code, field] of refusals) {
      const { status, body } = await h.api<Problem>("POST", "/v1/messages", { ...good(), ...change });
      assert.ok(status >= 400 && status < 500, JSON.stringify(body));
      assert.deepEqual([body.code, body.field], [code, field]);
    }
    assert.deepEqual(await counts(), before);
  });

  it("refuses an account that cannot pay for the transaction, with both numbers", async () => {
    const bob = h.keyStore.address("bob");
    await sites.alpha.local.rpc("hardhat_setBalance", [bob, "0x3e8"]);
    const before = await counts();
    const { status, body } = await h.api<Problem>("POST", "/v1/messages", { ...good(), account: "bob" });
    assert.deepEqual(
      [status, body.code, body.field, body.details?.held],
      [422, "balance-insufficient", "account", "1000"],
    );
    assert.ok(BigInt(String(body.details?.needed)) > 1000n);
    assert.deepEqual(await counts(), before);
  });

  it("refuses to list by what is not there, naming the field and what is", async () => {
    const refusals: [string, string, string, RegExp][] = [
      ["origin=gamma", "chain-unknown", "origin", /alpha, beta/],
      ["destination=gamma", "chain-unknown", "destination", /alpha, beta/],
      ["status=lost", "request-invalid", "status", /delivered/],
      ["orgin=alpha", "request-invalid", "orgin", /orgin/],
    ];
    for (const [query, code, field, words] of refusals) {
      const { body } = await h.api<Problem & { detail: string }>("GET", `/v1/messages?${query}`);
      assert.deepEqual([body.code, body.field], [code, field]);
      assert.match(body.detail, words);
    }
  });

  it("lists messages newest first, in pages, by lane and status", async () => {
    const ids: string[] = [];
    for (const payload of ["0x01", "0x02", "0x03"]) {
      const { body } = await h.api<WireMessage>("POST", "/v1/messages", { ...good(), payload });
      ids.unshift(body.id);
    }
    await Promise.all(ids.map((id) => h.reaches(id, "final")));
    type Page = { messages: WireMessage[]; next?: string };
    const first = (await h.api<Page>("GET", "/v1/messages?limit=2")).body;
    const second = (await h.api<Page>("GET", `/v1/messages?limit=2&cursor=${first.next}`)).body;
    assert.deepEqual(
      [...first.messages, ...second.messages].map(({ id }) => id),
      ids,
    );
    assert.equal(second.next, undefined);
    const none = (await h.api<Page>("GET", "/v1/messages?origin=beta")).body;
    assert.deepEqual(none.messages, []);
    assert.equal((await h.api<Page>("GET", "/v1/messages?status=final&destination=beta")).body.messages.length, 3);
    assert.equal((await h.api<Problem>("GET", "/v1/messages/0xabc")).body.code, "not-found");
  });
});
