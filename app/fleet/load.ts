import { performance } from "node:perf_hooks";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { JobHandler } from "#core/queue/queue.ts";
import { createSlowness } from "./slowness.ts";

/** What one process has to do, as it tells the others. */
export type Load = {
  /** The same handlers, with what they work on counted under the role. */
  counted(role: string, handlers: Readonly<Record<string, JobHandler>>): Record<string, JobHandler>;
  /** Counts requests that are not answered yet. */
  countRequests(app: HttpServer): void;
  /** Since it was asked last. */
  measure(): {
    /** Share of the time in which the event loop was busy, and processor time per time, 1 being one processor. */
    readonly busy: number;
    readonly cpu: number;
    /** Jobs and requests under way, by role. */
    readonly work: Readonly<Record<string, number>>;
    /** Whether it has been behind for a while. */
    readonly slow: boolean;
  };
};

export function createLoad({ clock }: { clock: Clock }): Load {
  const work: Record<string, number> = {};
  const add = (role: string, by: 1 | -1) => {
    work[role] = (work[role] ?? 0) + by;
  };
  const slowness = createSlowness();
  let loop = performance.eventLoopUtilization();
  let used = process.cpuUsage();
  let at = clock.now();
  return {
    counted: (role, handlers) =>
      Object.fromEntries(
        Object.entries(handlers).map(([name, handler]): [string, JobHandler] => [
          name,
          async (data) => {
            add(role, 1);
            await handler(data).finally(() => add(role, -1));
          },
        ]),
      ),
    countRequests(app) {
      app.addHook("onRequest", (_request, reply, done) => {
        add("api", 1);
        // Streams and WebSockets end with their connections, and have no answer to wait for. A request itself closes as
        // soon as its body is read, or never after an upgrade.
        reply.raw.once("close", () => add("api", -1));
        done();
      });
    },
    measure() {
      const now = performance.eventLoopUtilization();
      const { active, idle, utilization: busy } = performance.eventLoopUtilization(now, loop);
      const cpu = process.cpuUsage(used);
      const passed = Math.max(1, clock.now() - at);
      [loop, used, at] = [now, process.cpuUsage(), clock.now()];
      return {
        busy: rounded(busy),
        cpu: rounded((cpu.user + cpu.system) / 1_000 / passed),
        work: { ...work },
        slow: slowness.note({ ms: active + idle, busyMs: active }),
      };
    },
  };
}

const rounded = (value: number) => Math.round(value * 1_000) / 1_000;
