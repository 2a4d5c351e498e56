import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { invalid } from "./manifest.ts";

const newline = 0x0a;
/** A line that is longer was made by nobody: it would fill the memory. */
const longestLine = 256 * 1024 * 1024;

/** The lines of a compressed file, one after the other. Throws `backup-invalid` where it cannot be read. */
export async function* readLines(file: string): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  const unzipped = createGunzip();
  const piped = pipeline(source, unzipped);
  // Said below, when the lines before it have been taken.
  piped.catch(() => undefined);
  let parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of unzipped as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        parts.push(chunk.subarray(from, at));
        yield parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
        parts = [];
        length = 0;
        from = at + 1;
      }
      if (from === chunk.length) continue;
      parts.push(chunk.subarray(from));
      length += chunk.length - from;
      if (length > longestLine) throw invalid(`${file} is no backup: one of its lines has no end`);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "backup-invalid") throw error;
    throw invalid(`${file} cannot be read: ${error instanceof Error ? error.message : "it is damaged"}`, error);
  } finally {
    source.destroy();
  }
  await piped;
  if (length > 0) throw invalid(`${file} is cut: its last line has no end`);
}
