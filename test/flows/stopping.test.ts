import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, it } from "node:test";
import { type Collector, startCollector } from "#test/support/collector.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { forEachHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { type RpcProxy, startRpcProxy } from "#test/support/rpcProxy.ts";
import { startTcpProxy, type TcpProxy } from "#test/support/tcpProxy.ts";
import { messageRequest } from "./requests.ts";

const stopSeconds = 4;

await forEachHome("a process that is asked to end", (home) => {
  if (home.name !== "PostgreSQL and Redis") return;
  const open = shareNetwork(home);
  let test: TestNetwork;
  let collector: Collector;
  let database: TcpProxy;
  let endpoints: Record<string, RpcProxy>;
  let member: Member;

  before(async () => {
    test = open();
    collector = await startCollector();
  });
  after(() => collector?.close());

  /** All that it depends on can be made to hang. */
  async function start(name: string): Promise<void> {
    const { DATABASE_URL = "" } = test.env;
    const url = new URL(DATABASE_URL);
    database = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(database.port);
    const { alpha, beta } = test.network.chains;
    endpoints = { alpha: await startRpcProxy(alpha?.url ?? ""), beta: await startRpcProxy(beta?.url ?? "") };
    member = await startMember(test, name, {
      env: { DATABASE_URL: url.href, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
      change: ({ fleet, chains, ...settings }) => ({
        ...settings,
        fleet: { ...fleet, stopSeconds },
        chains: Object.fromEntries(
          Object.entries(chains).map(([name, chain]) => [
            name,
            { ...chain, endpoints: [{ url: endpoints[name]?.url }] },
          ]),
        ),
      }),
    });
  }
  async function close(): Promise<void> {
    await member.kill();
    collector.mode = "take";
    await database.close();
    await Promise.all(Object.values(endpoints).map((each) => each.close()));
  }
  const openStream = async () => {
    const headers = { authorization: `Bearer ${member.token}` };
    const response = await fetch(`${member.url}/v1/events`, { headers });
    assert.equal(response.status, 200);
    return response.body?.getReader();
  };
  const endpointsHang = () => {
    for (const each of Object.values(endpoints)) each.use(async () => "hang" as const);
  };
  const collectorHangs = () => {
    collector.mode = "hang";
  };
  const cases = [
    { what: "nothing", ends: "in order", hang: () => undefined },
    { what: "the collector of its traces", ends: "in order", hang: collectorHangs },
    { what: "every endpoint of its chains", ends: "in time", hang: endpointsHang },
    { what: "its database", ends: "in time", hang: () => database.hang() },
    {
      ...{ what: "everything", ends: "in time" },
      hang() {
        endpointsHang();
        collectorHangs();
        database.hang();
      },
    },
  ];

  for (const [index, { what, ends, hang }] of cases.entries()) {
    it(`does so ${ends} while ${what} hangs, with streams open and messages under way`, async () => {
      await start(`ending-${index}`);
      try {
        const streams = await Promise.all([openStream(), openStream()]);
        for (let sent = 0; sent < 3; sent++) await member.api.post("/v1/messages", messageRequest(test.network));
        hang();
        const begun = performance.now();
        const code = await member.stop();
        const seconds = (performance.now() - begun) / 1_000;
        const log = readFileSync(test.network.layout.log(`ending-${index}`), "utf8");
        assert.ok(seconds < stopSeconds + 1.5, `${seconds} s`);
        const isOverdue = log.includes("did not end in time");
        assert.equal(code, isOverdue ? 75 : 0);
        if (ends === "in order") assert.equal(isOverdue, false, log.slice(-3_000));
        for (const stream of streams) await stream?.cancel().catch(() => undefined);
      } finally {
        await close();
      }
    });
  }
});
