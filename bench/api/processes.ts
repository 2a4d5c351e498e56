import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { LoadPlan, LoadResult } from "./load.ts";

const start = (file: string): ChildProcess => fork(new URL(file, import.meta.url), { stdio: "inherit" });

async function ask<T>(child: ChildProcess, question: unknown): Promise<T> {
  child.send(question as never);
  const [answer] = (await once(child, "message")) as [T];
  return answer;
}

/** Load from a process of its own. */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const child = start("./load.ts");
  try {
    return await ask<LoadResult>(child, plan);
  } finally {
    child.kill();
  }
}

/** A bare server that answers with these bytes, in a process of its own. */
export async function startBare(text: string): Promise<{ port: number; close(): void }> {
  const child = start("./bare.ts");
  return { port: await ask<number>(child, text), close: () => void child.kill() };
}

/** A whole request as it goes over the wire. */
export function requestText(
  port: number,
  { method, path, headers, body }: { method: string; path: string; headers: Record<string, string>; body?: string },
): string {
  const all = {
    host: `127.0.0.1:${port}`,
    ...headers,
    ...(body !== undefined && {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
    }),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`;
}
