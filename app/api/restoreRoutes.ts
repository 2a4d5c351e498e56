import { z } from "zod";
import { defineRoute } from "#core/http/route.ts";
import { uint } from "#core/kernel/codec.ts";

const time = z.iso.datetime();

export const restoreSchema = z
  .object({
    state: z.enum(["none", "held", "over"]).meta({
      description:
        "`none`: the database is no restored one; `held`: nothing is sent yet; `over`: the service is at one with the chains again",
    }),
    reason: z.string().optional().meta({ description: "What is waited for, in words" }),
    backup: z.string().optional().meta({ description: "Id of the backup" }),
    takenAt: time.optional().meta({ description: "When the backup was made" }),
    restoredAt: time.optional().meta({ description: "When the database was filled with it" }),
    endedAt: time.optional().meta({ description: "When the service began to send again" }),
    position: uint.optional().meta({ description: "Of the last event that the backup had" }),
    resumesAfter: uint.optional().meta({ description: "Events since the restore have higher positions" }),
    releaseAskedBy: z.string().optional().meta({ description: "Who said that it is not to be waited for any longer" }),
  })
  .meta({ id: "Restore" });

const example = {
  ...{
    state: "held",
    reason: "alpha is read up to block 4711 of 4720",
    backup: "6c1f5c2e-7f0c-4a53-8a7e-0d3f7a9c2b11",
  },
  ...{ takenAt: "2026-11-22T09:00:00.000Z", restoredAt: "2026-11-22T11:30:00.000Z" },
  ...{ position: "81234", resumesAfter: "70368744177664" },
} as const;

export const showRestore = defineRoute({
  name: "showRestore",
  ...{ method: "GET", url: "/v1/restore", access: "viewer" },
  ...{
    tag: "fleet",
    summary: "Whether the database was restored from a backup, and what that still keeps from being done",
  },
  answer: restoreSchema,
  examples: { answer: example },
});

export const releaseRestore = defineRoute({
  everyAccount: true,
  name: "releaseRestore",
  ...{ method: "POST", url: "/v1/restore/release", access: "admin" },
  ...{ tag: "fleet", summary: "Send again, whatever is still waited for after a restore" },
  description: `What the accounts did since the backup is looked through once more as far as the chains show it. Transactions of
theirs that are in no block by then are not known: what they do may be done twice.`,
  ...{ status: 202, answer: restoreSchema },
  errors: ["not-found"],
  examples: { answer: { ...example, releaseAskedBy: "key:ops:5f0c2a9be1d34477" } },
});
