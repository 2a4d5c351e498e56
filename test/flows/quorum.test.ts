import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest } from "./requests.ts";

type Answer = MessageAnswer & { reason: { code: string; message: string } };
const timeoutMs = 30_000;

describe("two of three validators", () => {
  let test: TestNetwork;
  before(async () => {
    test = await openNetwork();
  });
  after(() => test?.close());

  const send = () => test.api.post<Answer>("/v1/messages", messageRequest(test.network));
  const delivered = ({ status }: Answer) => status === "delivered";

  it("are enough: with one stopped everything is delivered", async () => {
    await test.network.validators[0]?.stop();
    const { id } = await send();
    await test.api.until<Answer>(`/v1/messages/${id}`, delivered, timeoutMs);
  });

  it("are needed: with two stopped the message says what it waits for, and goes on when one returns", async () => {
    const recorded = chainFacts(test.network, "beta").recorded;
    const before = await recorded();
    await test.network.validators[1]?.stop();
    const { id } = await send();
    const waiting = await test.api.until<Answer>(
      `/v1/messages/${id}`,
      ({ reason }) => reason.code === "awaiting-quorum",
      timeoutMs,
    );
    assert.equal(waiting.status, "final");
    assert.match(waiting.reason.message, /validator-1/);
    assert.match(waiting.reason.message, /validator-2/);
    assert.equal(await recorded(), before);
    await test.network.validators[1]?.start();
    await test.api.until<Answer>(`/v1/messages/${id}`, delivered, timeoutMs);
    assert.equal(await recorded(), before + 1n);
  });
});
