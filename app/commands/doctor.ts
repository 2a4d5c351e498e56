import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { createLog } from "#core/observe/log.ts";
import { chainConnector } from "../chains.ts";
import { examine } from "../doctor/doctor.ts";
import { type Finding, fault, wordsOf } from "../doctor/finding.ts";
import { exitMend, exitUnlike } from "../exitCodes.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { migrations } from "../stored.ts";
import { paint, print } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { doctorCommand } from "./specs.ts";

/** Prints what is well and what is not, with what to do. The exit code is that of the worst: 0, 1 (warning), 78. */
export async function runDoctor(args: readonly string[]): Promise<number> {
  const { config: file, json } = readOptions(doctorCommand, args);
  return interruptible(async () => {
    const findings = await during("looking", look(file));
    if (json) print(toJson({ worst: worstOf(findings), checks: findings }));
    else describe(findings);
    return { ok: 0, warning: exitUnlike, error: exitMend }[worstOf(findings)];
  });
}

async function look(file: string): Promise<readonly Finding[]> {
  const log = createLog({ level: "silent", name: "doctor" });
  const connect = chainConnector({
    ...{ log, clock: systemClock },
    ...{ onEndpointEvent: () => undefined, onHeadOffset: () => undefined },
  });
  const rest = { connect, clock: systemClock, log, migrations, nodeVersion: process.version };
  try {
    const config = loadConfig(file, serviceConfigSchema);
    const findings = await examine(config, parseEnv(), rest);
    return [{ name: "configuration", result: "ok", found: file }, ...findings];
  } catch (error) {
    if (!isLockstepError(error, "config-invalid")) throw error;
    return wordsOf(error)
      .split("\n")
      .map((words) => fault("configuration", words, "lockstep config schema tells what is expected"));
  }
}

function worstOf(findings: readonly Finding[]): "ok" | "warning" | "error" {
  const has = (result: Finding["result"]) => findings.some((each) => each.result === result);
  return has("error") ? "error" : has("warning") ? "warning" : "ok";
}

const colours = { ok: "green", warning: "yellow", error: "red", skipped: "dim" } as const;

function describe(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ name }) => name.length));
  for (const { name, result, found, fix } of findings) {
    print(`${paint(colours[result], result.padEnd(7))}  ${name.padEnd(width)}  ${found}`);
    if (fix !== undefined) print(`${" ".repeat(width + 11)}→ ${fix}`);
  }
}
