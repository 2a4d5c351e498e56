import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { damaged } from "./storage.ts";

const compress = promisify(gzip);
const expand = promisify(gunzip);

/** Characters of lines that are compressed together: who wants one line has to read and expand as much. */
const partLength = 64 * 1024;

/** Where a line is: the part of the file, the line in what the part expands to, and the line's hash. */
export type LinePlace = {
  readonly partStart: number;
  readonly partLength: number;
  readonly lineStart: number;
  readonly lineLength: number;
  /** In hex. */
  readonly sha256: string;
};

/** A file of lines, with the place of each. */
export type Packed = { readonly bytes: Buffer; readonly sha256: string; readonly places: readonly LinePlace[] };

/** In hex. */
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/**
 * Newline JSON, compressed by gzip in parts, each of which expands by itself; `gunzip` and `zcat` read the whole as one.
 */
export async function pack(lines: readonly string[]): Promise<Packed> {
  const parts: Buffer[] = [];
  const places: LinePlace[] = [];
  let written = 0;
  for (const group of groupsOf(lines.map((line) => Buffer.from(`${line}\n`)))) {
    const part = await compress(Buffer.concat(group), { level: 6 });
    let lineStart = 0;
    for (const line of group) {
      places.push({
        ...{ partStart: written, partLength: part.length },
        ...{ lineStart, lineLength: line.length, sha256: sha256(line) },
      });
      lineStart += line.length;
    }
    parts.push(part);
    written += part.length;
  }
  const bytes = Buffer.concat(parts);
  return { bytes, sha256: sha256(bytes), places };
}

/** The line at a place, of the bytes of its part. Throws `archive-damaged` unless it is what was written. */
export async function lineOf(part: Uint8Array, place: LinePlace): Promise<string> {
  const whole = await expandPart(part);
  return cutLine(whole, place);
}

/** All lines, checked one by one. Throws `archive-damaged`. */
export async function checkPacked(bytes: Uint8Array, packed: Packed): Promise<void> {
  if (sha256(bytes) !== packed.sha256) throw damaged("what was read back is not what was written");
  for (const [start, places] of Map.groupBy(packed.places, ({ partStart }) => partStart)) {
    const length = places[0]?.partLength ?? 0;
    const whole = await expandPart(bytes.subarray(start, start + length));
    for (const place of places) cutLine(whole, place);
  }
}

async function expandPart(part: Uint8Array): Promise<Buffer> {
  try {
    return await expand(part);
  } catch (error) {
    throw damaged("a part of an archived file does not expand", error);
  }
}

function cutLine(whole: Buffer, { lineStart, lineLength, sha256: wanted }: LinePlace): string {
  const line = whole.subarray(lineStart, lineStart + lineLength);
  if (sha256(line) !== wanted) throw damaged("a line of an archived file is not what was written");
  return line.toString().trimEnd();
}

function groupsOf(lines: readonly Buffer[]): Buffer[][] {
  const groups: Buffer[][] = [];
  let length = partLength;
  for (const line of lines) {
    if (length >= partLength) {
      groups.push([]);
      length = 0;
    }
    groups.at(-1)?.push(line);
    length += line.length;
  }
  return groups;
}
