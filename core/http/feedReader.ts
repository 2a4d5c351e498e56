import type { ServerResponse } from "node:http";
import type { EndCode, FeedReader } from "../events/members.ts";
import type { ShownEvent } from "../events/shown.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { errorTable } from "../kernel/errors.ts";

/** Milliseconds in which somebody who is sent away can still take what was sent. */
export const graceMs = 5_000;

/** Milliseconds after which a reader comes back, spread so that not all come at once. */
const comeBackMs = (code: EndCode) => (code === "stream-expired" ? 50 : 500) + Math.floor(Math.random() * 2_000);

/** The bytes of events as a stream has them, made once for all who are given the same array. */
const inBytes = new WeakMap<readonly ShownEvent[], Buffer>();

/**
 * A reader over server-sent events (HTML living standard, 9.2). It is written to until the connection is closed, which
 * calls `onClose` once.
 */
export function createSseReader(response: ServerResponse, onClose: () => void, clock: Clock = systemClock): FeedReader {
  const closed = Promise.withResolvers<void>();
  const over = new AbortController();
  response.on("error", () => response.destroy());
  response.on("close", () => {
    closed.resolve();
    over.abort();
    onClose();
  });
  const write = (bytes: Buffer | string) => void (response.writable && response.write(bytes));
  return {
    send: (events) => write(bytesOf(events)),
    beat: (position) => write(`: alive\nid: ${position}\n\n`),
    buffered: () => response.writableLength,
    async drained() {
      if (!response.writableNeedDrain) return;
      const drain = new Promise<void>((resolve) => void response.once("drain", () => resolve()));
      await Promise.race([closed.promise, drain]);
    },
    end(code) {
      write(`retry: ${comeBackMs(code)}\nevent: end\ndata: ${endText(code)}\n\n`);
      response.end();
      // One that is closed by then keeps no process that ends.
      void clock.sleep(graceMs, over.signal).then(() => response.destroy());
    },
  };
}

/** What is said to a reader that is sent away. */
export function endText(code: EndCode): string {
  return JSON.stringify({ type: "end", code, detail: errorTable[code].title });
}

function bytesOf(events: readonly ShownEvent[]): Buffer {
  const known = inBytes.get(events);
  if (known) return known;
  const text = events.map(({ position, type, text }) => `id: ${position}\nevent: ${type}\ndata: ${text}\n\n`).join("");
  const bytes = Buffer.from(text);
  inBytes.set(events, bytes);
  return bytes;
}
