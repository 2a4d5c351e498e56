import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const s3Keys = { accessKeyId: "AKIATEST", secretAccessKey: "a/secret+key" } as const;

/** What the next requests meet: an answer in place of the true one, a body that breaks off, or other bytes. */
export type S3Fault = { readonly status: number } | "cut" | "hang" | "turned" | "ignores-range";

/**
 * As much of S3 as archived files need, in memory. Signatures are verified by a second implementation of Signature
 * Version 4, from its definition: whoever signs wrongly, or lets the body be changed, gets 403.
 */
export async function startS3Server(bucket: string, region: string) {
  const objects = new Map<string, Buffer>();
  const seen: string[] = [];
  let faults: S3Fault[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const refused = faultOf(request, body, region);
    seen.push(`${request.method} ${request.url}`);
    if (refused) return error(response, 403, refused);
    const fault = faults.shift();
    if (fault === "hang") return;
    if (typeof fault === "object") return error(response, fault.status, "SlowDown");
    const [, inBucket, ...rest] = (request.url ?? "").split("/");
    const key = decodeURIComponent(rest.join("/"));
    if (inBucket !== bucket) return error(response, 404, "NoSuchBucket");
    if (request.method === "PUT") {
      objects.set(key, body);
      response.writeHead(200).end();
    } else if (request.method === "DELETE") {
      objects.delete(key);
      response.writeHead(204).end();
    } else get(request, response, objects.get(key), fault);
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    ...{ objects, seen, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    fail: (...next: S3Fault[]) => {
      faults = next;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function get(request: IncomingMessage, response: ServerResponse, object: Buffer | undefined, fault?: S3Fault): void {
  if (!object) {
    error(response, 404, "NoSuchKey");
    return;
  }
  const range = fault === "ignores-range" ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [start, end] = range ? [Number(range[1]), Number(range[2]) + 1] : [0, object.length];
  if (range && start >= object.length) {
    error(response, 416, "InvalidRange");
    return;
  }
  let bytes = object.subarray(start, end);
  if (fault === "turned") bytes = Buffer.from(bytes.map((byte) => byte ^ 1));
  response.writeHead(range ? 206 : 200, { "content-length": bytes.length });
  if (fault === "cut") response.write(bytes.subarray(0, bytes.length - 1), () => response.destroy());
  else response.end(bytes);
}

function error(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>so it is</Message></Error>`);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const hmac = (key: Buffer | string, text: string) => createHmac("sha256", key).update(text).digest();
const digest = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");

/** Why a request is refused, as S3 would say it. */
function faultOf(request: IncomingMessage, body: Buffer, region: string): string | undefined {
  const header = (name: string) => String(request.headers[name] ?? "");
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      header("authorization"),
    );
  const [, id, day = "", signedRegion = "", signedHeaders = "", signature] = found ?? [];
  if (id !== s3Keys.accessKeyId || signedRegion !== region) return "InvalidAccessKeyId";
  if (header("x-amz-content-sha256") !== digest(body)) return "XAmzContentSHA256Mismatch";
  const names = signedHeaders.split(";");
  if (!["host", "x-amz-content-sha256", "x-amz-date"].every((name) => names.includes(name))) return "AccessDenied";
  const time = header("x-amz-date");
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(at - Date.now()) < 900_000)) return "RequestTimeTooSkewed";
  const canonical = [
    ...[request.method, new URL(request.url ?? "", "http://x").pathname, ""],
    ...names.map((name) => `${name}:${header(name).trim().replace(/ +/g, " ")}`),
    ...["", signedHeaders, digest(body)],
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, digest(canonical)].join("\n");
  const dayKey = hmac(`AWS4${s3Keys.secretAccessKey}`, day);
  const key = hmac(hmac(hmac(dayKey, region), "s3"), "aws4_request");
  return hmac(key, text).toString("hex") === signature ? undefined : "SignatureDoesNotMatch";
}
