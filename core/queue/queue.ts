import { z } from "zod";
import { LockstepError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";

/** A unit of work. `id` derives from the event that asked for it, so that asking twice queues it once. */
export type Job = { readonly id: string; readonly name: string; readonly data: Json };

export type JobHandler = (data: Json) => Promise<void>;

/**
 * The work queue: at-least-once, disposable. Everything in it can be derived again from the event store, so handlers
 * are idempotent and an emptied queue loses nothing.
 */
export type Queue = {
  /** A job whose id is still waiting or running is not added again; a finished one's id is free again. */
  enqueue(jobs: readonly Job[]): Promise<void>;
  /** Starts to work on jobs by name. A handler that throws is retried with growing delays if the error is retryable. */
  work(handlers: Readonly<Record<string, JobHandler>>, options: { concurrency: number }): Promise<void>;
  /** Jobs that are not done, by name. Throws `queue-unreachable`. */
  counts(names: readonly string[]): Promise<ReadonlyMap<string, JobCounts>>;
  /** Throws `queue-unreachable` unless it answers within seconds. */
  assertAnswers(): Promise<void>;
  /**
   * Takes no further jobs and waits for the running ones; one whose end cannot be told, as the queue is away, is worked on
   * again by whoever comes next.
   */
  close(): Promise<void>;
};

/** `delayed`: have failed and are tried again later. */
export type JobCounts = { readonly waiting: number; readonly active: number; readonly delayed: number };

/** A name or id in a job: bounded, and nothing that a database would not take. */
export const jobId = z.string().regex(/^[^\p{Cc}\p{Cs}]{1,300}$/u);

/**
 * What a job says, which anyone who reaches the queue may have put there: at most which thing to look at. Throws
 * `request-invalid`, which is not tried again.
 */
export function parseJob<S extends z.ZodType>(schema: S, data: Json): z.output<S> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  throw new LockstepError("request-invalid", "a job does not say what jobs of its kind say");
}
