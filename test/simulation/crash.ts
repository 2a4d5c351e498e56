/** The process dies here: nothing after it happens, and what was not durable is gone. */
export class Crash extends Error {}
