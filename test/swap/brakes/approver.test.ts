import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { approvalConfigSchema } from "#core/config/approval.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { type Approver, questionOf } from "#swap/brakes/approver.ts";
import { createHookApprover } from "#swap/brakes/hookApprover.ts";
import { createManualApprover } from "#swap/brakes/manualApprover.ts";
import { foldSwap } from "#swap/swap.ts";
import { quietLog } from "#test/support/databases.ts";
import { type JsonServer, startJsonServer } from "#test/support/jsonServer.ts";
import { hexOf, requested, secret, stored } from "#test/swap/samples.ts";

const question = () => {
  const swap = foldSwap(stored(requested));
  assert.ok(swap);
  return questionOf(swap, "lock-source");
};
const hook = { secret: redact(hexOf("4")), clock: { ...systemClock, now: () => 1_800_000_000_999 }, log: quietLog };
const running = () => new AbortController().signal;

/** What whoever decides about locks owes those who ask. */
function conforms(name: string, open: () => Promise<{ approver: Approver; close(): Promise<void> }>): void {
  describe(`the approver ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());

    it("answers with a decision, and in words where it does not accept", async () => {
      const said = await opened.approver.decide(question(), running());
      assert.ok(["accept", "hold", "reject"].includes(said.decision));
      if (said.decision !== "accept") assert.match(said.reason, /\w/);
    });

    it("answers the same question as often as it is asked, and leaves it as it is", async () => {
      const asked = question();
      await Promise.all([1, 2, 3].map(() => opened.approver.decide(asked, running())));
      assert.deepEqual(asked, question());
    });

    it("never accepts or rejects once nobody waits for it, and does not throw", async () => {
      const { decision } = await opened.approver.decide(question(), AbortSignal.abort());
      assert.equal(decision, "hold");
    });
  });
}

conforms("that leaves it to an operator", async () => ({
  approver: createManualApprover(),
  close: async () => undefined,
}));
for (const [what, json] of [
  ["accepts", { decision: "accept" }],
  ["holds", { decision: "hold", reason: "later" }],
  ["rejects", { decision: "reject" }],
] as const) {
  conforms(`over HTTP that ${what}`, async () => {
    const server = await startJsonServer();
    server.respond = () => ({ json });
    const approver = createHookApprover({ ...hook, url: server.url, timeoutMs: 5_000 });
    return { approver, close: server.close };
  });
}

describe("an approval hook", () => {
  let server: JsonServer;
  before(async () => {
    server = await startJsonServer();
  });
  after(() => server.close());

  const decide = (respond: JsonServer["respond"], timeoutMs = 5_000) => {
    server.respond = respond;
    const url = `${server.url}/approve?key=hidden`;
    return createHookApprover({ ...hook, url, timeoutMs }).decide(question(), running());
  };

  it("is told both legs, the parties and which lock, and no secret", async () => {
    assert.deepEqual(await decide(() => ({ json: { decision: "accept", reason: "fine" } })), {
      decision: "accept",
      reason: "fine",
    });
    const body = server.bodies.at(-1) as Record<string, Record<string, unknown>>;
    assert.deepEqual([body.step, body.account, body.id], ["lock-source", "alice", "swap-1-lock-source"]);
    assert.deepEqual([body.source?.chain, body.source?.amount, body.target?.timelock], ["alpha", "5", "1000"]);
    assert.ok(!JSON.stringify(body).includes(secret.slice(2)));
  });

  it("can tell who asks, when, and that nobody changed the question", async () => {
    await decide(() => ({ json: { decision: "accept" } }));
    const signature = String(server.headers.at(-1)?.["lockstep-signature"]);
    const raw = server.raw.at(-1) ?? "";
    const mac = createHmac("sha256", Buffer.from("44".repeat(32), "hex"))
      .update(`1800000000.${raw}`)
      .digest("hex");
    assert.equal(signature, `t=1800000000,v1=${mac}`);
    assert.deepEqual(JSON.parse(raw), server.bodies.at(-1));
  });

  const lies: [string, Awaited<ReturnType<JsonServer["respond"]>>][] = [
    ["says nothing that is JSON", { text: "accept" }],
    ["says null", { json: null }],
    ["leaves the decision out", { json: {} }],
    ["has another decision", { json: { decision: "ACCEPT" } }],
    ["adds what nobody knows", { json: { decision: "accept", unless: "late" } }],
    ["says it in a list", { json: [{ decision: "accept" }] }],
    ["accepts with an error", { status: 500, text: '{"decision":"accept"}' }],
    ["accepts with a status that is not the one", { status: 202, text: '{"decision":"accept"}' }],
    ["gives words that no database takes", { json: { decision: "reject", reason: "a\u0000b" } }],
    ["says too much", { text: `{"decision":"accept"}${" ".repeat(5_000)}` }],
    ["gives endless words", { json: { decision: "accept", reason: "x".repeat(501) } }],
    ["says two things", { text: '{"decision":"reject","decision":"accept"}' }],
    ["hangs up", "die"],
  ];
  for (const [what, answer] of lies) {
    it(`that ${what} makes the lock wait`, async () => {
      const said = await decide(() => answer);
      assert.equal(said.decision, "hold");
      assert.match(String(said.reason), /gave no decision/);
      assert.ok(!String(said.reason).includes("hidden"), "its address is shown");
    });
  }

  it("that hangs makes the lock wait, no longer than it may", async () => {
    const said = await decide(() => "hang", 30);
    assert.deepEqual([said.decision, /no answer in time/.test(String(said.reason))], ["hold", true]);
  });

  it("that is down makes the lock wait", async () => {
    const gone = await startJsonServer();
    await gone.close();
    const said = await createHookApprover({ ...hook, url: gone.url, timeoutMs: 5_000 }).decide(question(), running());
    assert.deepEqual([said.decision, /no connection/.test(String(said.reason))], ["hold", true]);
  });

  it("that sends somewhere else is not followed", async () => {
    const elsewhere = await startJsonServer();
    elsewhere.respond = () => ({ json: { decision: "accept" } });
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        const said = await decide(() => ({ status, text: "", headers: { location: elsewhere.url } }));
        assert.equal(said.decision, "hold", String(status));
      }
      assert.deepEqual(elsewhere.bodies, []);
    } finally {
      await elsewhere.close();
    }
  });
});

describe("the configuration of approvals", () => {
  const isTaken = (config: unknown) => approvalConfigSchema.safeParse(config).success;

  it("names who is asked in one of three ways", () => {
    for (const config of [
      { mode: "accept" },
      { mode: "hold", askFrom: { alpha: { native: "5" } } },
      { url: "https://desk.example/approve", timeoutMs: 100, secret: { file: "hook.key" } },
      { url: "http://127.0.0.1:9000/", secret: { variable: "HOOK" } },
      { url: "http://[::1]:9000/", secret: { variable: "HOOK" } },
    ]) {
      assert.ok(isTaken(config), JSON.stringify(config));
    }
  });

  it("takes no answers that anybody on the way could change, and nothing it does not know", () => {
    const signed = { secret: { file: "hook.key" } };
    for (const config of [
      { ...signed, url: "http://desk.example/approve" },
      { ...signed, url: "http://127.0.0.1.desk.example/" },
      { ...signed, url: "https://user:password@desk.example/" },
      { ...signed, url: "file:///tmp/approve" },
      { ...signed, url: "https://desk.example/", timeoutMs: 0 },
      { ...signed, url: "https://desk.example/", mode: "accept" },
      { url: "https://desk.example/" },
      { url: "https://desk.example/", secret: "0x12" },
      { mode: "acept" },
      { mode: "hold", askFrom: { alpha: { "0x12": "5" } } },
      { mode: "hold", askFrom: { alpha: { native: "-5" } } },
      {},
    ]) {
      assert.ok(!isTaken(config), JSON.stringify(config));
    }
  });
});
