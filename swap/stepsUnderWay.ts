import type { StepName } from "./events.ts";
import { legOf } from "./parties.ts";
import type { Step, Swap } from "./swap.ts";

/** Steps whose effect the chain has not shown; what became of the intents of the others does not matter. */
export function stepsUnderWay({ steps, legs }: Swap): [StepName, Step][] {
  const started = Object.entries(steps).filter(([, { state }]) => state === "started") as [StepName, Step][];
  return started.filter(([step]) => {
    const { lock, end } = legs[legOf(step)];
    return step.startsWith("approve") || step.startsWith("lock") ? lock === undefined : end === undefined;
  });
}
