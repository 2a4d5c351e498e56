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
    ];
    gaugeEndpoints(metrics, () => [{ name: "alpha", endpoints: () => endpoints }]);
    const indexer = { chain: "alpha", state: "running", head: 9n, indexed: 7n, final: 3n } as IndexerStatus;
    gaugeIndexers(metrics, () => [{ status: () => indexer }]);
    const lane = { chain: "alpha", account: "alice", state: "running", open: 4, oldestWaitingMs: 1_500 } as const;
    const untold = {
      error: undefined,
      balance: undefined,
      free: undefined,
      lowBelow: undefined,
      maxFeePerGas: undefined,
    };
    gaugeSender(metrics, { status: () => [{ ...lane, ...untold }] });
    const { body } = await metrics.text();
    for (const line of [
      'endpoint_requests_total{chain="alpha",endpoint="node.example",method="eth_call",outcome="timeout"} 1',
      'endpoint_exchange_seconds_bucket{le="0.005",chain="alpha",endpoint="node.example"} 1',
      'endpoint_state{chain="alpha",endpoint="node.example",state="open"} 1',
      'endpoint_socket_live{chain="alpha",endpoint="other.example"} 1',
      'chain_head{chain="alpha"} 7',
      'indexer_lag_blocks{chain="alpha"} 2',
      'indexer_block{chain="alpha",which="final"} 3',
      'sender_open{chain="alpha",account="alice"} 4',
      'sender_waiting_seconds{chain="alpha",account="alice"} 1.5',
    ]) {
      assert.ok(body.includes(`lockstep_${line}\n`), line);
    }
  });
});
