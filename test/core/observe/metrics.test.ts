import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EndpointStatus } from "#core/chain/chain.ts";
import { countEndpointEvents, gaugeEndpoints } from "#core/chain/metrics.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import { gaugeIndexers } from "#core/indexer/metrics.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { gaugeSender } from "#core/sender/metrics.ts";

describe("metrics", () => {
  it("are told in the text format under one prefix, and what is gone is not told any more", async () => {
    const metrics = createMetrics();
    const open = new Map([["a", 2]]);
    const count = metrics.counter("things_total", "Things");
    metrics.gauge("open", "Open things", ["name"], async (set) => {
      for (const [name, value] of open) set({ name }, value);
    });
    count({ kind: "x" });
    count({ kind: "x" }, 2);
    const { contentType, body } = await metrics.text();
    assert.match(contentType, /^text\/plain/);
    assert.match(body, /^lockstep_things_total\{kind="x"\} 3$/m);
    assert.match(body, /^lockstep_open\{name="a"\} 2$/m);
    open.clear();
    assert.doesNotMatch((await metrics.text()).body, /^lockstep_open\{/m);
  });

  it("are told though some cannot be read", async () => {
    const metrics = createMetrics();
    metrics.gauge("well", "Well", ["name"], (set) => set({ name: "a" }, 1));
    metrics.gauge("ill", "Ill", ["name"], async (set) => {
      set({ name: "a" }, 1);
      throw new Error("the database is away");
    });
    const { body } = await metrics.text();
    assert.match(body, /^lockstep_well\{name="a"\} 1$/m);
    assert.doesNotMatch(body, /^lockstep_ill\{/m);
  });

  it("of two processes in one are apart", async () => {
    const [one, two] = [createMetrics(), createMetrics()];
    one.counter("things_total", "Things")({ kind: "x" });
    assert.doesNotMatch((await two.text()).body, /things/);
  });

  it("tell of endpoints, indexers and senders", async () => {
    const metrics = createMetrics();
    const observe = countEndpointEvents(metrics);
    const place = { chain: "alpha", endpoint: "node.example" };
    observe({ ...place, kind: "request", method: "eth_call", outcome: "timeout" });
    observe({ ...place, kind: "exchange", ms: 3 });
    const endpoints: EndpointStatus[] = [
      { endpoint: "node.example", state: "open", usable: false, reason: "timeout", head: 900n },
      { endpoint: "other.example", state: "healthy", usable: true, head: 7n, socket: "live" },
      { endpoint: "behind.example", state: "healthy", usable: true, head: 4n },
    ];
    gaugeEndpoints(metrics, () => [{ name: "alpha", endpoints: () => endpoints }]);
    const indexer = { chain: "alpha", state: "running", head: 9n, indexed: 7n, final: 3n } as IndexerStatus;
    gaugeIndexers(metrics, () => [{ status: () => indexer }]);
    const lane = { chain: "alpha", account: "alice", state: "running", open: 4, oldestWaitingMs: 1_500 } as const;
    const untold = {
      error: undefined,
      balance: 5n,
      free: undefined,
      lowBelow: 9n,
      maxFeePerGas: undefined,
    };
    const at = { chain: "alpha", account: "alice", kind: "relay.deliver" };
    gaugeSender(metrics, {
      status: () => [{ ...lane, ...untold }],
      figures: async () => ({
        open: [{ ...at, state: "queued", count: 2, oldestMs: 1 }],
        ended: [{ ...at, succeeded: 6n, reverted: 1n, abandoned: 0n, gasUsed: 1n, fees: 77n }],
      }),
      stuck: async () => [{ ...at, intent: "i", ageMs: 61_000, reason: "inclusion-stalled" }],
    });
    const { body } = await metrics.text();
    for (const line of [
      'endpoint_requests_total{chain="alpha",endpoint="node.example",method="eth_call",outcome="timeout"} 1',
      'endpoint_exchange_seconds_bucket{le="0.005",chain="alpha",endpoint="node.example"} 1',
      'endpoint_state{chain="alpha",endpoint="node.example",state="open"} 1',
      'endpoint_socket_live{chain="alpha",endpoint="other.example"} 1',
      'endpoint_lag_blocks{chain="alpha",endpoint="behind.example"} 3',
      'endpoint_lag_blocks{chain="alpha",endpoint="node.example"} 0',
      'chain_head{chain="alpha"} 7',
      'indexer_lag_blocks{chain="alpha"} 2',
      'indexer_block{chain="alpha",which="final"} 3',
      'sender_open{chain="alpha",account="alice"} 4',
      'sender_waiting_seconds{chain="alpha",account="alice"} 1.5',
      'sender_balance_wei{chain="alpha",account="alice"} 5',
      'sender_balance_low{chain="alpha",account="alice"} 1',
      'sender_stuck_seconds{chain="alpha",account="alice",reason="inclusion-stalled"} 61',
      'sender_intents{chain="alpha",account="alice",kind="relay.deliver",state="queued"} 2',
      'sender_intents_ended{chain="alpha",account="alice",kind="relay.deliver",outcome="reverted"} 1',
      'sender_gas_paid_wei{chain="alpha",account="alice",kind="relay.deliver"} 77',
    ]) {
      assert.ok(body.includes(`lockstep_${line}\n`), line);
    }
  });
});
