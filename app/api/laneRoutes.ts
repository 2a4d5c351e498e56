import { z } from "zod";
import { name as chainName } from "#core/config/name.ts";
import { printableName } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { chainTroubles } from "#core/http/routeErrors.ts";
import { uint } from "#core/kernel/codec.ts";
import { laneSettingExample, newLaneExample } from "./examples.ts";

const laneBody = z
  .strictObject({
    origin: chainName,
    destination: chainName,
    delivery: z.enum(["checkpoint", "proof"]).default("checkpoint"),
  })
  .meta({ id: "NewLane" });
const laneParams = z.object({ origin: printableName, destination: printableName });
const settingSchema = z
  .object({
    lane: z.string().meta({ example: "alpha→beta" }),
    origin: z.string(),
    destination: z.string(),
    source: z.enum(["file", "api"]),
    state: z.enum(["active", "paused", "removed"]),
    revision: uint,
  })
  .meta({ id: "LaneSetting" });
const removal = z.strictObject({
  force: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also with messages under way: they stay on their chains, and go on when the lane is back" }),
});

export const addLane = defineRoute({
  everyAccount: true,
  name: "addLane",
  ...{ method: "POST", url: "/v1/lanes", access: "admin" },
  ...{ tag: "network", summary: "Serve a lane", description: "Both gateways must know each other." },
  ...{ body: laneBody, status: 201, answer: settingSchema },
  errors: ["chain-unknown", "chain-paused", "lane-exists", "contract-mismatch", ...chainTroubles],
  examples: { body: newLaneExample, answer: laneSettingExample },
});

export const pauseLane = defineRoute({
  everyAccount: true,
  name: "pauseLane",
  ...{ method: "POST", url: "/v1/lanes/:origin/:destination/pause", access: "operator" },
  ...{ tag: "network", summary: "Deliver nothing over a lane; its messages wait" },
  ...{ params: laneParams, answer: settingSchema },
  errors: ["not-found"],
  examples: { answer: laneSettingExample },
});

export const resumeLane = defineRoute({
  everyAccount: true,
  name: "resumeLane",
  ...{ method: "POST", url: "/v1/lanes/:origin/:destination/resume", access: "operator" },
  ...{ tag: "network", summary: "Deliver over a lane again" },
  ...{ params: laneParams, answer: settingSchema },
  errors: ["not-found"],
  examples: { answer: laneSettingExample },
});

export const removeLane = defineRoute({
  everyAccount: true,
  name: "removeLane",
  ...{ method: "DELETE", url: "/v1/lanes/:origin/:destination", access: "admin" },
  ...{ tag: "network", summary: "Serve a lane no more" },
  ...{ params: laneParams, query: removal, answer: settingSchema },
  errors: ["not-found", "lane-in-use"],
  examples: { answer: laneSettingExample },
});
