import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LockstepError } from "../kernel/errors.ts";
import { syncFolder } from "../kernel/syncFolder.ts";
import { type ArchiveStorage, assertStorageName, damaged } from "./storage.ts";

/** Archived files in a folder of this machine, or one that it mounts. */
export function createFolderStorage(folder: string): ArchiveStorage {
  const pathOf = (name: string) => {
    assertStorageName(name);
    return join(folder, name);
  };
  const tried = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw await toStorageError(error, folder);
    }
  };

  return {
    place: folder,
    put: (name, bytes) =>
      tried(async () => {
        const path = pathOf(name);
        await makeFolder(dirname(path));
        const file = await open(`${path}.part`, "w", 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(`${path}.part`, path);
        await syncFolder(dirname(path));
      }),
    read: (name, range) =>
      tried(async () => {
        const file = await open(pathOf(name), "r");
        try {
          if (!range) return await file.readFile();
          const { bytesRead, buffer } = await file.read(Buffer.alloc(range.length), 0, range.length, range.start);
          if (bytesRead < range.length) throw damaged(`${name} is shorter than it should be`);
          return buffer;
        } finally {
          await file.close();
        }
      }),
    remove: (name) =>
      tried(async () => {
        await rm(`${pathOf(name)}.part`, { force: true });
        await rm(pathOf(name), { force: true });
      }),
  };
}

/** Makes a folder, and those that it is in, so that all of them survive a crash. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function toStorageError(error: unknown, folder: string): Promise<unknown> {
  if (error instanceof LockstepError || !(error instanceof Error) || !("code" in error)) return error;
  // Where nothing is mounted there is no folder, or an empty one.
  const isAway = error.code !== "ENOENT" || (await readdir(folder).catch(() => [])).length === 0;
  if (!isAway) return damaged("an archived file is not there", error);
  return new LockstepError("archive-unreachable", "the folder of the archive cannot be used", { cause: error });
}
