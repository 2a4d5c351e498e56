import type { StoredEvent } from "./store.ts";
import { createSubscription, type Subscription, type SubscriptionOptions } from "./subscription.ts";

export type OutboxOptions<Job extends { readonly id: string }> = Omit<SubscriptionOptions, "handle"> & {
  /** The jobs an event asks for; their ids derive from the event, so that asking twice queues once. */
  routes(event: StoredEvent): readonly Job[];
  enqueue(jobs: readonly Job[]): Promise<void>;
};

/**
 * Turns committed events into jobs: nothing is queued for an event that was rolled back, and nothing is forgotten for
 * one that was committed. `rewind` queues everything again after the queue was emptied.
 */
export function createOutbox<Job extends { readonly id: string }>(options: OutboxOptions<Job>): Subscription {
  const { routes, enqueue, ...subscription } = options;
  return createSubscription({
    ...subscription,
    async handle(events) {
      const jobs = events.flatMap((event) => routes(event));
      if (jobs.length > 0) await enqueue(jobs);
    },
  });
}
