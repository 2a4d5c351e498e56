import { AwsClient } from "aws4fetch";
import { LockstepError } from "../kernel/errors.ts";
import type { Redacted } from "../kernel/redacted.ts";
import { sha256 } from "./format.ts";
import { type ArchiveStorage, assertStorageName, damaged } from "./storage.ts";

export type S3Options = {
  /** Without bucket and path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  readonly accessKeyId: Redacted<string>;
  readonly secretAccessKey: Redacted<string>;
  readonly timeoutMs: number;
};

/** Bytes of an error's body that are read. */
const mostWords = 2_048;

/**
 * Archived files in a bucket of S3, or of what speaks like it; the bucket is part of the path, which all of them take. The
 * hash of what is stored is signed along, so that the store refuses what was changed on the way.
 */
export function createS3Storage(options: S3Options): ArchiveStorage {
  const { endpoint, region, bucket, prefix, timeoutMs } = options;
  const base = `${endpoint.replace(/\/+$/, "")}/${bucket}/${prefix}`;
  const client = new AwsClient({
    ...{ accessKeyId: options.accessKeyId.reveal(), secretAccessKey: options.secretAccessKey.reveal() },
    // The archive tries again by itself, later.
    ...{ service: "s3", region, retries: 0 },
  });

  async function ask(method: string, name: string, headers: Record<string, string>, body?: Uint8Array) {
    assertStorageName(name);
    const signed = { ...headers, "x-amz-content-sha256": sha256(body ?? new Uint8Array()) };
    try {
      const request = await client.sign(`${base}/${name}`, {
        ...{ method, headers: signed },
        ...(body && { body: new Uint8Array(body) }),
      });
      const response = await fetch(request, { signal: AbortSignal.timeout(timeoutMs), redirect: "error" });
      return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
    } catch (error) {
      // The request has the key's id in its headers: of what it failed by only the words are kept.
      throw unreachable(`${method} of ${name}: ${wordsOf(error)}`);
    }
  }

  return {
    place: `${new URL(endpoint).host}/${bucket}/${prefix}`,
    async put(name, bytes) {
      const { status, bytes: body } = await ask("PUT", name, { "content-type": "application/octet-stream" }, bytes);
      if (status !== 200) throw refused("PUT", name, status, body);
    },
    async read(name, range) {
      const headers: Record<string, string> = range
        ? { range: `bytes=${range.start}-${range.start + range.length - 1}` }
        : {};
      const { status, bytes } = await ask("GET", name, headers);
      // A file may be lost; of a bucket that is not there the configuration or the account speaks wrongly.
      if (status === 404 && codeOf(bytes) !== "NoSuchBucket") throw damaged(`${name} is not there`);
      if (status === 416) throw damaged(`${name} is shorter than it should be`);
      if (status !== 200 && status !== 206) throw refused("GET", name, status, bytes);
      // A store that does not know ranges sends the whole.
      const found = range && status === 200 ? bytes.subarray(range.start, range.start + range.length) : bytes;
      if (range && found.length !== range.length) throw damaged(`${name} is shorter than it should be`);
      return found;
    },
    async remove(name) {
      const { status, bytes } = await ask("DELETE", name, {});
      if (status !== 204 && status !== 200 && status !== 404) throw refused("DELETE", name, status, bytes);
    },
  };
}

const unreachable = (message: string, details: { status?: number; code?: string | undefined } = {}) =>
  new LockstepError("archive-unreachable", `the store of the archive: ${message}`, { details });

/** The code of an error in S3's XML says what it is; all else that a store says is not ours to repeat. */
const codeOf = (body: Buffer): string | undefined =>
  /<Code>([A-Za-z0-9.]{1,60})<\/Code>/.exec(body.subarray(0, mostWords).toString())?.[1];

function refused(method: string, name: string, status: number, body: Buffer): LockstepError {
  const code = codeOf(body);
  return unreachable(`${method} of ${name} was answered ${status}${code ? ` ${code}` : ""}`, { status, code });
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "failed";
  if (error.name === "TimeoutError") return "took too long";
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.name;
}
