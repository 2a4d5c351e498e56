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
  close(): Promise<void>;
};
