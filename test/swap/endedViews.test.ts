import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { isPrepared } from "#core/http/prepared.ts";
import { createEndedViews } from "#swap/endedViews.ts";
import { swapExample } from "#swap/examples.ts";
import { getSwap } from "#swap/routes.ts";
import type { SwapView } from "#swap/schemas.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const over = z.decode(getSwap.answer, swapExample as never) as SwapView;

/** The same with one end that a reorganisation may still take back, or none. */
function notOver(leg: "source" | "target", end: "gone" | "not final"): SwapView {
  const { end: before, ...rest } = over[leg];
  return { ...over, [leg]: before && end === "not final" ? { ...rest, end: { ...before, final: false } } : rest };
}

describe("views of swaps that are over", () => {
  it("are answered with the same text for a while, under the name that was asked for alone", () => {
    const clock = createVirtualClock(1_000_000);
    const views = createEndedViews({ clock });
    assert.ok(over.source.end?.final && over.target.end?.final, "the example is of a swap that is over");
    const answer = views.keep("name", over);
    assert.ok(isPrepared(answer));
    assert.deepEqual(JSON.parse(answer.json), swapExample);
    assert.equal(views.get("name"), answer);
    assert.equal(views.get("other"), undefined);
    clock.advance(9_999);
    assert.equal(views.get("name"), answer);
    clock.advance(2);
    assert.equal(views.get("name"), undefined);
  });

  for (const leg of ["source", "target"] as const) {
    for (const end of ["gone", "not final"] as const) {
      it(`are not kept while the end of the ${leg} leg is ${end}`, () => {
        const views = createEndedViews({ clock: createVirtualClock(1_000_000) });
        const view = notOver(leg, end);
        assert.equal(views.keep("name", view), view);
        assert.equal(views.get("name"), undefined);
      });
    }
  }
});
