import { z } from "zod";
import { printableId } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { uint } from "#core/kernel/codec.ts";
import { instanceExample, leaseExample } from "./fleetExamples.ts";

const time = z.iso.datetime();

export const instanceSchema = z
  .object({
    id: z.string().meta({ description: "New with every start" }),
    name: z.string().meta({ description: "`fleet.instance` of its configuration, or the name of its host" }),
    host: z.string(),
    pid: z.int(),
    version: z.string(),
    roles: z.array(z.string()),
    state: z.enum(["working", "draining", "silent", "stopped"]).meta({
      description:
        "`draining`: it was asked to give its work up, and answers what it is still asked; `silent`: not heard of for as long as two leases last; `stopped`: it ended in order",
    }),
    startedAt: time,
    seenAt: time,
    drainAskedBy: z.string().optional(),
    busy: z.number().meta({ description: "The same as `load.eventLoop`" }),
    load: z
      .object({
        eventLoop: z
          .number()
          .meta({ description: "Share of the time lately in which its event loop was busy, from 0 to 1" }),
        cpu: z.number().optional().meta({ description: "Processor time per time lately; 1 is one processor" }),
        slow: z.boolean().meta({
          description:
            "It was busy for more than nine tenths of half a minute, and gets half a share of what is shared",
        }),
        work: z
          .record(z.string(), z.number())
          .meta({ description: "Jobs under way by role, and under `api` requests that are not answered yet" }),
      })
      .meta({ description: "What it has to do" }),
    health: z
      .object({
        ok: z.boolean().meta({ description: "It was heard of lately and has given nothing up" }),
        reasons: z
          .array(z.string())
          .meta({ description: "What it has given up, and accounts that it gets nothing into a block with" }),
      })
      .meta({ description: "Whether it can do what it is there for" }),
    configuration: z
      .object({
        fingerprint: z.string().meta({ description: "Of the whole configuration that it goes by" }),
        shared: z.string().meta({
          description:
            "Of what processes of one service have in common: all but `roles`, `http`, `dataDir`, `fleet` and `logLevel`",
        }),
        loadedAt: time.meta({ description: "When it was last read" }),
        waiting: z
          .array(z.string())
          .meta({ description: "Fields of the file, as it was read last, that take effect at a restart alone" }),
      })
      .optional()
      .meta({ description: "Which configuration it goes by; absent for earlier versions" }),
    memoryBytes: z.int(),
    halted: z.array(z.string()).meta({ description: "What it gave up until somebody mends something" }),
    leases: z
      .array(z.object({ name: z.string(), term: uint, since: time }))
      .meta({ description: "What it alone does at present" }),
  })
  .meta({ id: "Instance" });

export const leaseSchema = z
  .object({
    name: z.string().meta({ description: "What is done by one process at a time, e.g. `indexer/alpha`" }),
    term: uint.meta({ description: "Rises with every holder; what an earlier one writes is refused" }),
    holder: z.string().optional().meta({ description: "Id of the instance; absent while nobody has it" }),
    since: time,
    until: time.meta({ description: "When it runs out unless it is renewed" }),
  })
  .meta({ id: "Lease" });

export const listInstances = defineRoute({
  name: "listInstances",
  ...{ method: "GET", url: "/v1/instances", access: "viewer" },
  ...{ tag: "fleet", summary: "The processes of the service within the last week, the newest first" },
  answer: z.object({ instances: z.array(instanceSchema) }),
  examples: { answer: { instances: [instanceExample] } },
});

export const drainInstance = defineRoute({
  everyAccount: true,
  name: "drainInstance",
  ...{ method: "POST", url: "/v1/instances/:id/drain", access: "operator" },
  ...{ tag: "fleet", summary: "Ask a process to give its work to the others" },
  description: `It finishes what it has begun, gives its leases up, says that it is not ready, and goes on answering requests
until it is stopped. Whoever wants it to work again starts it again.`,
  ...{ params: z.object({ id: printableId }), status: 202, answer: instanceSchema },
  errors: ["not-found"],
  examples: { answer: { ...instanceExample, state: "draining", drainAskedBy: "key:ops:5f0c2a9be1d34477" } },
});

export const listLeases = defineRoute({
  name: "listLeases",
  ...{ method: "GET", url: "/v1/leases", access: "viewer" },
  ...{ tag: "fleet", summary: "What is done by one process at a time, and by which" },
  answer: z.object({ leases: z.array(leaseSchema) }),
  examples: { answer: { leases: [leaseExample] } },
});
