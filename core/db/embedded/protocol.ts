import { z } from "zod";

/** What the parent tells its database process, once, and not on the command line where others could read it. */
export const startMessage = z.object({
  /** Absent: in memory. */
  dataDir: z.string().optional(),
  password: z.string(),
  port: z.int(),
  patienceMs: z.int(),
});
export type StartMessage = z.infer<typeof startMessage>;

/** What the database process answers, once. */
export const startAnswer = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ready"), port: z.int() }),
  z.object({ kind: z.literal("failed"), code: z.enum(["data-folder-in-use", "internal"]), message: z.string() }),
]);
export type StartAnswer = z.infer<typeof startAnswer>;
