import assert from "node:assert/strict";
import { before, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { deliverJob, settleJob } from "#relay/jobs.ts";
import { forEachHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { endSessions, openJobs, type Pausable } from "./jobs.ts";
import { messageRequest } from "./requests.ts";

const volleys = 6;
const volley = 4;
const timeoutMs = 60_000;

await forEachHome("a service in a burst of messages", (home) => {
  // The embedded database has no way in from outside, and belongs to the service that started it.
  if (home.name.includes("embedded")) return;
  const open = shareNetwork(home);
  let test: TestNetwork;
  before(() => {
    test = open();
  });

  const ready = async () => (await fetch(`${test.network.api}/health/ready`)).ok;

  /**
   * Sends volleys of messages, with something happening right behind some of them and, behind others, at the first
   * delivery; sees to it that everything arrives once, in the same process.
   */
  async function survives(happen: (fired: number) => Promise<void> | void): Promise<void> {
    const { network, api } = test;
    const recorded = chainFacts(network, "beta").recorded;
    const before = await recorded();
    let ended = false;
    void network.service.ended().then(() => {
      ended = true;
    });
    const sent: MessageAnswer[] = [];
    for (let fired = 0; fired < volleys; fired++) {
      const present = await recorded();
      const send = () => api.post<MessageAnswer>("/v1/messages", messageRequest(network));
      sent.push(...(await Promise.all(Array.from({ length: volley }, send))));
      const moves = () => until(async () => (await recorded()) > present, "messages are delivered", timeoutMs);
      if (fired % 2 === 1) await moves();
      await happen(fired);
      await moves();
      await until(ready, "the service is ready again", timeoutMs);
    }
    const isDone = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
    for (const { id } of sent) {
      assert.equal((await api.until<MessageAnswer>(`/v1/messages/${id}`, isDone, timeoutMs)).status, "delivered");
    }
    assert.equal(await recorded(), before + BigInt(volleys * volley));
    assert.equal(ended, false);
  }

  it("loses nothing when every job is", async () => {
    const jobs = openJobs(test, [deliverJob, settleJob]);
    let lost = 0;
    // A worker is quicker than whoever empties its queue, so it gets nothing to do meanwhile.
    const onAll = (work: (queue: Pausable) => Promise<unknown>) => Promise.all(jobs.queues.map(work));
    await onAll((queue) => queue.pause());
    try {
      await survives(async () => {
        lost += await jobs.empty();
      });
      lost += await jobs.empty();
    } finally {
      await onAll((queue) => queue.resume());
      await onAll((queue) => queue.close());
      await jobs.disconnect();
    }
    assert.ok(lost >= volleys, `${lost} jobs were lost`);
  });

  it("loses nothing when its connections to the stores are cut", async () => {
    const accepted = () => [...test.proxies.values()].map((proxy) => proxy.accepted);
    const first = accepted();
    await survives(async (fired) => {
      for (const proxy of test.proxies.values()) proxy.cut();
      // The server's way of ending a connection has other errors than a broken one.
      if (fired % 3 === 0) await endSessions(test);
    });
    for (const [index, count] of accepted().entries()) assert.ok(count >= (first[index] ?? 0) + volleys);
  });

  it("loses nothing when the database is away for a while", () =>
    survives(async () => {
      const proxy = test.proxies.get("DATABASE_URL");
      assert.ok(proxy);
      proxy.refuse();
      await until(async () => !(await ready()), "the service misses its database", timeoutMs);
      proxy.admit();
    }));

  if (!home.name.includes("Redis")) return;

  it("says that its work queue is away, goes on without, and says no more once it is back", async () => {
    const { network, api, proxies } = test;
    const recorded = chainFacts(network, "beta").recorded;
    const before = await recorded();
    const warned = async () => {
      const answer = await fetch(`${network.api}/health/ready`);
      assert.equal(answer.status, 200);
      const { checks } = (await answer.json()) as { checks: { name: string; warning?: string }[] };
      return checks.some(({ name, warning }) => name === "queue" && warning !== undefined);
    };
    const answers = async () => {
      const headers = { authorization: `Bearer ${network.token()}` };
      const text = await (await fetch(`${network.api}/metrics`, { headers })).text();
      return /^lockstep_queue_answers (\d)$/m.exec(text)?.[1];
    };
    assert.deepEqual([await warned(), await answers()], [false, "1"]);
    const proxy = proxies.get("REDIS_URL");
    proxy?.refuse();
    try {
      await until(warned, "a warning");
      assert.equal(await answers(), "0");
      for (const sent of [1n, 2n]) {
        const { id } = await api.post<MessageAnswer>("/v1/messages", messageRequest(network));
        await api.until<MessageAnswer>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
        assert.equal(await recorded(), before + sent);
        assert.equal(await warned(), true);
        // One that is started meanwhile goes on as well.
        await network.service.kill();
        await network.service.start();
      }
    } finally {
      proxy?.admit();
    }
    await until(async () => !(await warned()), "the warning is over");
    assert.equal(await answers(), "1");
  });
});
