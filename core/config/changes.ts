import { isDeepStrictEqual } from "node:util";

/** Paths of the fields in which two configurations differ; a list is one field. Sorted. */
export function changedFields(before: unknown, after: unknown, path = ""): string[] {
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => changedFields(before[name], after[name], path === "" ? name : `${path}.${name}`));
  }
  return isDeepStrictEqual(before, after) ? [] : [path];
}

/** What takes effect without a restart: these fields, and all inside of them. */
const liveFields = [
  ...["logLevel", "fleet.drainSeconds", "http.rateLimit", "http.access.certificates"],
  ...["http.tls.certFile", "http.tls.keyFile", "http.tls.clientCaFile"],
  ...["http.limits.urlBytes", "http.limits.headers", "http.limits.connections", "http.limits.connectionsPerAddress"],
  ...["http.limits.headerSeconds", "http.limits.requestSeconds", "http.limits.keepAliveSeconds"],
] as const;

/** May become another, and neither come nor go: whether clients are asked for a certificate is settled at the start. */
const keptFields: readonly string[] = ["http.tls.clientCaFile"];

/** The one before with what may change of the other; in all that the two still differ the other has to wait. */
export function withLiveFields<T>(before: T, after: T, path = ""): T {
  if (isLive(path, before, after)) return after;
  if (!isObject(before) || !isObject(after)) return before;
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const merged = names.map((name) => {
    return [name, withLiveFields(before[name], after[name], path === "" ? name : `${path}.${name}`)] as const;
  });
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined)) as T;
}

function isLive(path: string, before: unknown, after: unknown): boolean {
  if (keptFields.includes(path) && (before === undefined || after === undefined)) return false;
  return liveFields.some((live) => path === live || path.startsWith(`${live}.`));
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
