import { LockstepError } from "../kernel/errors.ts";

/** Bytes of an object, from its beginning or from `start` on. */
type Range = { readonly start: number; readonly length: number };

/**
 * Where archived files are: names to bytes. A name is written once with one content, so writing it again after a crash
 * changes nothing. Throws `archive-unreachable` where it cannot be told, `archive-damaged` where an object is not there
 * or shorter than it should be.
 */
export type ArchiveStorage = {
  /** For people: where this is. */
  readonly place: string;
  /** Resolves once the bytes will survive a crash. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  read(name: string, range?: Range): Promise<Buffer>;
  /** Says nothing where there is none. */
  remove(name: string): Promise<void>;
};

/** Names that every storage can have: lower case, with slashes for folders. */
const storageName = /^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)*$/;

/** Throws `RangeError`: names are made by this program. */
export function assertStorageName(name: string): void {
  if (!storageName.test(name) || name.includes("..")) throw new RangeError(`not a name of an archived file: ${name}`);
}

/** What is in an archive is not what was written. */
export const damaged = (message: string, cause?: unknown): LockstepError =>
  new LockstepError("archive-damaged", message, cause === undefined ? {} : { cause });
