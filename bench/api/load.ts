import { connect, type Socket } from "node:net";

/**
 * A process of its own that asks one server for the same things over and over, over connections that stay, and tells
 * what came of it as one line of JSON. HTTP/1.1 by hand: a client library would take more CPU than a fast server.
 */
export type LoadPlan = {
  readonly port: number;
  readonly connections: number;
  /** Whole requests, taken in turns. */
  readonly requests: readonly string[];
  /** Stops after so many milliseconds, or after each request was sent once. */
  readonly forMs?: number;
};
export type LoadResult = {
  readonly answered: number;
  readonly ms: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds from the request's last byte to the answer's. */
  readonly p50: number;
  readonly p99: number;
};

const headEnd = Buffer.from("\r\n\r\n");

/** One connection, one request at a time. Resolves when there is nothing more to ask. */
function drive(
  port: number,
  next: () => string | undefined,
  onAnswer: (status: string, ms: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let buffered = Buffer.alloc(0);
    let sentAt = 0;
    const send = (socket: Socket) => {
      const request = next();
      if (request === undefined) return void socket.end();
      sentAt = performance.now();
      socket.write(request);
    };
    const socket = connect(port, "127.0.0.1", () => send(socket));
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      const end = buffered.indexOf(headEnd);
      if (end < 0) return;
      const head = buffered.toString("latin1", 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
      if (Number.isNaN(length)) return void socket.destroy(new Error(`an answer without a length: ${head}`));
      if (buffered.length < end + headEnd.length + length) return;
      buffered = buffered.subarray(end + headEnd.length + length);
      onAnswer(head.slice(9, 12), performance.now() - sentAt);
      send(socket);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve());
  });
}

async function run({ port, connections, requests, forMs }: LoadPlan): Promise<LoadResult> {
  const times: number[] = [];
  const statuses: Record<string, number> = {};
  const began = performance.now();
  let at = 0;
  const next = () => {
    if (forMs !== undefined ? performance.now() - began > forMs : at >= requests.length) return undefined;
    return requests[at++ % requests.length];
  };
  await Promise.all(
    Array.from({ length: connections }, () =>
      drive(port, next, (status, ms) => {
        statuses[status] = (statuses[status] ?? 0) + 1;
        times.push(ms);
      }),
    ),
  );
  const ms = performance.now() - began;
  times.sort((a, b) => a - b);
  const quantile = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { answered: times.length, ms, statuses, p50: quantile(0.5), p99: quantile(0.99) };
}

process.on("message", async (plan: LoadPlan) => process.send?.(await run(plan)));
