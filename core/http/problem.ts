import { z } from "zod";

/** An error answer as RFC 9457 has it, with the stable code of the error table. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.string(),
    detail: z.string(),
    field: z.string().optional(),
    retryable: z.boolean(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: "Problem", description: "An error answer (RFC 9457). `code` is stable; see the error table." });

export type Problem = z.infer<typeof problemSchema>;
