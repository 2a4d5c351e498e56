/** Names of schemas and tables are written by us, in one plain form, so that they never need quoting. */
export function assertIdentifier(name: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    throw new RangeError(`expected a lower-case SQL identifier of at most 63 characters, got ${JSON.stringify(name)}`);
  }
  return name;
}
