import { toJson } from "#core/kernel/json.ts";
import type { Instance } from "../client/index.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { print, table } from "../terminal.ts";
import { instanceDrainCommand, instanceListCommand } from "./clientSpecs.ts";
import { connect } from "./connect.ts";
import { readOptions } from "./options.ts";

export async function runInstanceList(args: readonly string[]): Promise<number> {
  const { json, all, ...where } = readOptions(instanceListCommand, args);
  const { client, url } = connect(where);
  return interruptible(async (signal) => {
    const found = (await during(`asking ${url}`, client.instances.list(undefined, { signal }))).instances;
    const instances = all ? found : found.filter(({ state }) => state !== "stopped");
    if (json) print(toJson({ instances }));
    else print(describe(instances));
    return 0;
  });
}

export async function runInstanceDrain(args: readonly string[]): Promise<number> {
  const { json, id, ...where } = readOptions(instanceDrainCommand, args);
  const { client, url } = connect(where);
  return interruptible(async (signal) => {
    const instance = await during(`asking ${url}`, client.instances.drain(id, { signal }));
    print(json ? toJson(instance) : `${instance.name} gives its work up; stop it once it has no leases any more`);
    return 0;
  });
}

function describe(instances: readonly Instance[]): string {
  const rows = instances.map(({ id, name, state, roles, busy, memoryBytes, leases, halted }) => [
    ...[id, name, state, roles.join(","), `${Math.round(100 * busy)} %`, `${Math.round(memoryBytes / 2 ** 20)} MiB`],
    ...[String(leases.length), halted.join("; ")],
  ]);
  return table(["instance", "name", "state", "roles", "busy", "memory", "leases", "halted"], rows);
}
