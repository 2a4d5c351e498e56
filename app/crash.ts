import { type Mark, noMark } from "#core/kernel/mark.ts";

/** For fault drills: the process kills itself, as `kill -9` would, when it passes the mark. */
export function crashAt(point: string | undefined): Mark {
  if (point === undefined) return noMark;
  return (passed) => {
    if (passed === point) process.kill(process.pid, "SIGKILL");
  };
}
