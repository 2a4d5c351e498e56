import type { Lease, Leases } from "#core/lease/lease.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";

/** Which lanes this process delivers: each is delivered by one, so that validators are asked once. */
export type LaneOwnership = {
  owns(lane: LaneEnds): boolean;
  start(): void;
  stop(): Promise<void>;
};

export function createLaneOwnership(deps: {
  lanes: Lanes;
  leases: Leases;
  /** A lane is this process's from now on. */
  onWon(lane: LaneEnds): void;
  /** It is not any more; resolves when nothing is done for it here. */
  onLost(lane: LaneEnds): Promise<void>;
}): LaneOwnership {
  const { lanes } = deps;
  const owned = new Map<string, Lease>();
  /** Nothing new is begun for these, while what is under way ends. */
  const ending = new Set<string>();
  let forget: () => void = () => undefined;

  function follow(): void {
    for (const lane of lanes.all) {
      const name = laneName(lane);
      if (owned.has(name)) continue;
      const lease = deps.leases.of(`lane/${name}`);
      owned.set(name, lease);
      // As it is by then: settings of a lane change while it is owned.
      const present = () => lanes.find(lane) ?? lane;
      lease.contend({
        start() {
          ending.delete(name);
          deps.onWon(present());
        },
        stop() {
          ending.add(name);
          return deps.onLost(present());
        },
      });
    }
    for (const [name, lease] of owned) {
      if (lanes.all.some((lane) => laneName(lane) === name)) continue;
      owned.delete(name);
      void lease.leave();
    }
  }

  return {
    owns(lane) {
      const name = laneName(lane);
      return !ending.has(name) && owned.get(name)?.isHeld() === true;
    },
    start() {
      forget = lanes.onChange(follow);
      follow();
    },
    async stop() {
      forget();
      await Promise.all([...owned.values()].map((lease) => lease.leave()));
      owned.clear();
    },
  };
}
