import { createServer } from "node:net";
import { LockstepError } from "#core/kernel/errors.ts";

export type PortWish = { readonly what: string; readonly option: string; readonly port: number };

/**
 * Checks that every port is free, and finds one where 0 was asked for. Throws `port-taken` naming each taken port and
 * the option that changes it.
 */
export async function claimPorts(wishes: readonly PortWish[]): Promise<number[]> {
  const found = await Promise.all(wishes.map(({ port }) => probe(port)));
  const taken = wishes.filter((_, i) => found[i] === undefined);
  if (taken.length > 0) {
    const lines = taken.map(
      ({ what, option, port }) => `port ${port} (${what}) is taken; choose another with ${option}`,
    );
    throw new LockstepError("port-taken", lines.join("\n"), {
      details: { ports: taken.map(({ port }) => String(port)) },
    });
  }
  return found.map((port) => port ?? 0);
}

function probe(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      const bound = typeof address === "object" && address ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}
