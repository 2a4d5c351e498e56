import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { serviceCommand, validatorCommand } from "#app/commands/specs.ts";
import { exitMend } from "#app/exitCodes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(root, "deploy", path), "utf8");
const units = {
  "lockstep.service": serviceCommand,
  "lockstep-validator@.service": validatorCommand,
};
// By a name, since it is no tool of this project that has to be there.
const verifier = "systemd-analyze";
const hasSystemd = spawnSync(verifier, ["--version"]).status === 0;

describe("units for systemd", () => {
  for (const [name, command] of Object.entries(units)) {
    const unit = read(`systemd/${name}`);

    it(`run a command that there is: ${name}`, () => {
      const [, line = ""] = /^ExecStart=(.+)$/m.exec(unit) ?? [];
      const [node = "", ...words] = line.split(" ");
      assert.ok(existsSync(node.replace("/opt/lockstep", root)));
      const [file = "", called] = words.slice(words.findIndex((word) => !word.startsWith("-")));
      assert.ok(existsSync(join(root, file)));
      assert.equal(called, command.name);
      assert.ok(words.includes("--config") && "config" in command.options);
    });

    it(`do not start it again where only a person can help: ${name}`, () => {
      assert.match(unit, new RegExp(`^RestartPreventExitStatus=${exitMend}$`, "m"));
    });

    it(`are taken by systemd: ${name}`, { skip: !hasSystemd && "no systemd here" }, () => {
      const folder = mkdtempSync(join(tmpdir(), "lockstep-units-"));
      try {
        const file = join(folder, name.replace("@.", "@one."));
        writeFileSync(file, unit.replaceAll("/opt/lockstep", root.replace(/\/$/, "")));
        const { status, stderr } = spawnSync(verifier, ["verify", file], { encoding: "utf8" });
        // What it says of the machine's own units is not about ours.
        const about = stderr.split("\n").filter((line) => line.includes("lockstep"));
        assert.deepEqual([status, about], [0, []]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});

describe("the image", () => {
  it("has every folder that the commands import from, and nothing of the machine that builds it", () => {
    const copied = [...read("container/Containerfile").matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, sources = ""]) => sources.split(" "),
    );
    for (const source of copied) assert.ok(existsSync(join(root, source)), source);
    for (const folder of ["app", "core", "relay", "swap"]) assert.ok(copied.includes(folder), folder);
    assert.ok(!copied.includes("."));
  });

  it("gets settings that services and validators know", () => {
    const compose = read("container/compose.yml");
    const commands = [...compose.matchAll(/^ {2}command: (\[.+\])$/gm)].map(([, list = ""]) => JSON.parse(list)[0]);
    assert.deepEqual(commands, [serviceCommand.name, validatorCommand.name]);
    const variables = new Set([...compose.matchAll(/^ {4}([A-Z_]+):/gm)].map(([, name]) => name));
    assert.deepEqual([...variables], ["DATABASE_URL", "REDIS_URL"]);
    for (const variable of variables)
      assert.ok(readFileSync(join(root, "core/config/env.ts"), "utf8").includes(`${variable}:`));
  });
});
