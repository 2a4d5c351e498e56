import type { StoredEvent } from "./store.ts";
import { createSubscription, type Subscription, type SubscriptionOptions } from "./subscription.ts";

export type OutboxOptions<Job extends { readonly id: string }> = Omit<SubscriptionOptions, "handle"> & {
  /** The jobs an event asks for; their ids derive from the event, so that asking twice queues once. */
  routes(event: StoredEvent): readonly Job[];
  enqueue(jobs: readonly Job[]): Promise<void>;
  /** Told of events whose jobs are queued; must not throw. */
  handled?(events: readonly StoredEvent[]): void;
  /** Jobs of the same answer do the same work: of those that events read together ask for, the last is queued. */
  alike?(job: Job): string;
};

/**
 * Turns committed events into jobs: nothing is queued for an event that was rolled back, and nothing is forgotten for
 * one that was committed. `rewind` queues everything again after the queue was emptied.
 */
export function createOutbox<Job extends { readonly id: string }>(options: OutboxOptions<Job>): Subscription {
  const { routes, enqueue, alike = ({ id }: Job) => id, handled, ...subscription } = options;
  return createSubscription({
    ...subscription,
    async handle(events) {
      const jobs = new Map(events.flatMap((event) => routes(event)).map((job) => [alike(job), job]));
      if (jobs.size > 0) await enqueue([...jobs.values()]);
      handled?.(events);
    },
  });
}
