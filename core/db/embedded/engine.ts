import { fsyncSync } from "node:fs";
import { PGlite } from "@electric-sql/pglite";
import type { Engine } from "./session.ts";

export type PgliteEngine = Engine & { close(): Promise<void> };

/** The library turns fsync off; here a commit that was answered survives a power cut too. */
const durable = [...PGlite.defaultStartParams.filter((param) => param !== "-F"), "-c", "wal_sync_method=fsync"];

/** A service's worth of data, not a warehouse: 128 MiB of buffers would double what the process takes. */
const small = ["-c", "shared_buffers=16MB"];

/** PostgreSQL compiled to WebAssembly, on a folder or in memory. One session; statements run one after the other. */
export async function openPglite(dataDir: string | undefined): Promise<PgliteEngine> {
  const db =
    dataDir === undefined
      ? await PGlite.create({ startParams: [...PGlite.defaultStartParams, ...small] })
      : await PGlite.create({ dataDir, startParams: [...durable, ...small] });
  if (dataDir !== undefined) passFsyncThrough(db);
  return {
    async execute(messages) {
      const chunks: Buffer[] = [];
      await db.runExclusive(() =>
        db.execProtocolRawStream(messages, { onRawData: (data) => void chunks.push(Buffer.from(data)) }),
      );
      return Buffer.concat(chunks);
    },
    inTransaction: () => db.isInTransaction(),
    close: () => db.close(),
  };
}

/** Emscripten's file system on Node calls `fsync` of its stream operations if there is one, and has none. */
function passFsyncThrough(db: PGlite): void {
  const filesystems: unknown = Reflect.get(db.Module.FS, "filesystems");
  const nodefs: unknown = filesystems instanceof Object ? Reflect.get(filesystems, "NODEFS") : undefined;
  const operations: unknown = nodefs instanceof Object ? Reflect.get(nodefs, "stream_ops") : undefined;
  if (!(operations instanceof Object)) throw new Error("PGlite's file system has another shape than expected");
  Reflect.set(operations, "fsync", (stream: { nfd: number }) => {
    fsyncSync(stream.nfd);
    return 0;
  });
}
