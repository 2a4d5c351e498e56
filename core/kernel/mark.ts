/**
 * Called at the named points between a durable write and the effect that follows it. Does nothing in a running
 * process; fault tests end the process there.
 */
export type Mark = (point: string) => void;

export const noMark: Mark = () => undefined;
