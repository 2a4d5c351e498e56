/** The process dies here: nothing after it happens, and what was not durable is gone. */
export class Crash extends Error {
  constructor(what: string) {
    // Thousands die in a run, and nobody asks where.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(what);
    Error.stackTraceLimit = limit;
  }
}
