import type { Processor, QueueOptions, WorkerOptions } from "bullmq";
import type { JobCounts } from "./queue.ts";

type JobOptions = { jobId: string; attempts: number; backoff: { type: string } };

/** The part of BullMQ's queue that adds jobs and counts them. */
export type Producer = {
  add(name: string, data: JobEnvelope, opts: JobOptions): Promise<unknown>;
  addBulk(jobs: { name: string; data: JobEnvelope; opts: JobOptions }[]): Promise<unknown>;
  getJobCounts(...types: (keyof JobCounts)[]): Promise<Record<string, number>>;
  on(event: "error", listener: (error: Error) => void): unknown;
  close(): Promise<void>;
};

/** The part of BullMQ's worker that is used here. */
export type Consumer = {
  waitUntilReady(): Promise<unknown>;
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Takes no further jobs. */
  pause(doNotWaitActive: true): Promise<void>;
  /** Takes no further jobs and waits for the running ones, and for what the backend owes it; by force for nothing. */
  close(force?: boolean): Promise<void>;
};

/** Data in an object, because a backend stores `null` as an empty one. */
export type JobEnvelope = { readonly payload: unknown };

/** Where the jobs are: Redis or PostgreSQL. */
export type QueueBackend = {
  /** Connects and brings the backend's own tables up to date. */
  ready(): Promise<void>;
  /** Asks it for nothing but an answer. */
  ask(): Promise<unknown>;
  producer(queue: string, options: Omit<QueueOptions, "connection">): Producer;
  consumer(queue: string, process: Processor<JobEnvelope>, options: Omit<WorkerOptions, "connection">): Consumer;
  /** After all producers and consumers were closed. */
  close(): Promise<void>;
};
