import { once } from "node:events";
import { createDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { createLog } from "#core/observe/log.ts";
import { relayEvents } from "#relay";

/** A process of its own that writes events into the store of a service, so many a second, each in its transaction. */
export type WriterPlan = { readonly connectionString: string; readonly events: number; readonly perSecond: number };

const [{ connectionString, events, perSecond }] = (await once(process, "message")) as [WriterPlan];
const log = createLog({ level: "silent", name: "bench" });
const db = createDb({ connectionString, log });
const store = createEventStore({ db, schemas: relayEvents, log });
const data = { origin: "alpha", destination: "beta" };
const started = performance.now();
for (let written = 0; written < events; ) {
  const due = Math.min(events, Math.floor(((performance.now() - started) / 1_000) * perSecond) + 1);
  for (; written < due; written += 1) {
    const commit = [
      { stream: `message-${written}`, expected: 0, events: [{ type: "MessageAbandoned" as const, data }] },
    ];
    await db.tx((tx) => store.append(tx, commit));
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
await db.close();
process.send?.({ ms: performance.now() - started });
