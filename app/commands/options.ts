import { LockstepError } from "#core/kernel/errors.ts";

/** A port from the command line; 0 lets the machine choose. Throws `config-invalid`. */
export function portOption(name: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new LockstepError("config-invalid", `${name}: expected a port from 0 to 65535, not "${text}"`, {
    details: { field: name },
  });
}
