import type { WebSocket } from "@fastify/websocket";
import type { EndCode, FeedReader } from "../events/members.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { endText, graceMs } from "./feedReader.ts";

/** Bytes of a client's longest message: it has nothing to say but `{"after":"…"}`. */
export const longestClientMessage = 128;

/** Milliseconds between two looks at what has not left yet; `ws` tells nobody when its buffer has drained. */
const lookMs = 50;

/** RFC 6455, 7.4.1; for all else 1013, try again later. */
const closeCodes: Partial<Record<EndCode, number>> = { "shutting-down": 1001, unauthorized: 1008 };

/** A reader over a WebSocket: the same messages as server-sent events have, one JSON text each. */
export function createSocketReader(socket: WebSocket, onClose: () => void, clock: Clock = systemClock): FeedReader {
  let unanswered = 0;
  socket.on("pong", () => {
    unanswered = 0;
  });
  const over = new AbortController();
  socket.on("close", () => {
    over.abort();
    onClose();
  });
  const isOpen = () => socket.readyState === socket.OPEN;
  return {
    send(events) {
      if (isOpen()) for (const { text } of events) socket.send(text);
    },
    beat(position) {
      if (unanswered > 1) return socket.terminate();
      unanswered += 1;
      socket.send(`{"type":"beat","id":"${position}"}`);
      socket.ping();
    },
    buffered: () => socket.bufferedAmount,
    async drained() {
      while (isOpen() && socket.bufferedAmount > 0) await clock.sleep(lookMs);
    },
    end(code) {
      if (isOpen()) socket.send(endText(code));
      socket.close(closeCodes[code] ?? 1013, code);
      void clock.sleep(graceMs, over.signal).then(() => socket.terminate());
    },
  };
}
