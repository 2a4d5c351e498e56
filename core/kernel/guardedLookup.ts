import { type LookupAddress, lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";

/** The addresses of a host. */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>;

/** The system's. */
export const lookupAll: Lookup = (host) =>
  new Promise((done, fail) => {
    systemLookup(host, { all: true }, (error, found) => (error ? fail(error) : done(found)));
  });

/**
 * Addresses for a connection, judged where it is made, so that an answer of the DNS that changes in between changes
 * nothing. `judge` answers why not, and one address that is bad is enough. Not asked for hosts that are addresses.
 */
export function guardedLookup(
  lookup: Lookup,
  judge: (found: readonly LookupAddress[]) => Error | undefined,
): LookupFunction {
  return (host, { all }, callback) => {
    lookup(host).then(
      (found) => {
        const bad = judge(found);
        const [first] = found;
        if (bad) callback(bad, "", 0);
        else if (!first) callback(Object.assign(new Error("no address"), { code: "ENOTFOUND" }), "", 0);
        else if (all) callback(null, [...found]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, "", 0),
    );
  };
}
