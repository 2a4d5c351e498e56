/**
 * Positions of one partition of the events. Far more than there will be in the time that one is written to, so that time
 * decides where it ends: the next position is then the first of the next partition.
 */
export const partitionSpan = 2n ** 36n;

/** The partition that a position belongs to. */
export const partitionOf = (position: bigint): bigint => position / partitionSpan;
