/**
 * How far a database is: what was written when. Both parts only rise, and each is of use alone: everything that is written
 * has a place in the log, and who was told of an event knows only that event's position.
 */
export type Position = {
  /** Bytes of PostgreSQL's write-ahead log. */
  readonly log: bigint;
  /** Position of an event in the event store. */
  readonly event: bigint;
};

export const noPosition: Position = { log: 0n, event: 0n };

const most = 2n ** 63n;

/** `LOG.EVENT`, both decimal. */
export const positionText = ({ log, event }: Position): string => `${log}.${event}`;

/** Undefined for what is none. */
export function parsePosition(text: string): Position | undefined {
  const [, log, event] = /^(\d{1,19})\.(\d{1,19})$/.exec(text) ?? [];
  if (log === undefined || event === undefined) return undefined;
  const position = { log: BigInt(log), event: BigInt(event) };
  return position.log < most && position.event < most ? position : undefined;
}

/** What covers both. */
export const laterPosition = (a: Position, b: Position): Position => ({
  log: a.log > b.log ? a.log : b.log,
  event: a.event > b.event ? a.event : b.event,
});

/** Whether who is at `at` has everything up to `wanted`. */
export const covers = (at: Position, wanted: Position): boolean => at.log >= wanted.log && at.event >= wanted.event;
