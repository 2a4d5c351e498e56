import assert from "node:assert/strict";
import { it } from "node:test";
import { numberToHex } from "viem";
import { createChain } from "#core/chain/createChain.ts";
import { createKeyStore } from "#core/chain/keys.ts";
import { relayConfigSchema } from "#core/config/relay.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createRelay, relayEvents, relayMigrations, relayProjections } from "#relay";
import { onDatabase, quietLog, withDatabase } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { failing, startRpcProxy } from "../support/rpcProxy.ts";
import { until } from "../support/until.ts";
import { chainNamed, sites } from "./gatewayLogs.ts";
import { addressOf } from "./samples.ts";

/** As many as a queue works on at a time, and more. */
const jobs = 60;

await onDatabase("a destination that hangs", (backend) => {
  it("holds up no other lane and no worker of the queue", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, [...eventMigrations, ...relayMigrations]);
      const [log, clock] = [quietLog, systemClock];
      const proxy = await startRpcProxy("http://127.0.0.1:1", failing("hang"));
      const finality = { blocks: 0 };
      const hanging = createChain({ name: "beta", chainId: 2, endpoints: [proxy.url], finality }, { log, clock });
      let looks = 0;
      const gamma = {
        ...chainNamed("gamma", 3),
        storage: async (): Promise<Hex> => {
          looks += 1;
          return numberToHex(0, { size: 32 });
        },
      };
      const validators = [{ name: "one", address: addressOf(10), url: "http://127.0.0.1:1" }];
      const relay = createRelay({
        ...{ db, log, clock },
        store: createEventStore({ db, log, clock, schemas: relayEvents, projections: relayProjections }),
        chains: fixed({
          alpha: sites.alpha,
          beta: { chain: hanging, gateway: addressOf(102) },
          gamma: { chain: gamma, gateway: addressOf(103) },
        }),
        sender: {
          submit: async () => undefined,
          find: async () => undefined,
          findByTransactions: async () => new Map(),
        },
        keyStore: createKeyStore({ relayer: redact(localKey(1)) }),
        config: relayConfigSchema.parse({ account: "relayer", validators }),
      });
      relay.start();
      try {
        const deliver = (lane: string) => relay.handlers["relay.deliver"]?.({ lane });
        // None of them waits for the endpoint, which would take seconds.
        await Promise.all(Array.from({ length: jobs }, () => deliver("alpha→beta")));
        await until(async () => proxy.seen.length > 0, "the hanging endpoint is asked");
        await deliver("alpha→gamma");
        await until(async () => looks > 0, "the other lane is looked at");
        // One look at a time: what hangs is asked by one request, not by sixty.
        assert.ok(proxy.seen.length <= 2, `${proxy.seen.length} requests`);
      } finally {
        await proxy.close();
        await relay.stop();
      }
    }));
});
