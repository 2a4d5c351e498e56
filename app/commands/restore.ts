import { toJson } from "#core/kernel/json.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { print } from "../terminal.ts";
import { restoreReleaseCommand, restoreShowCommand } from "./clientSpecs.ts";
import { connect } from "./connect.ts";
import { readOptions } from "./options.ts";

export async function runRestoreShow(args: readonly string[]): Promise<number> {
  const { json, ...where } = readOptions(restoreShowCommand, args);
  const { client, url } = connect(where);
  return interruptible(async (signal) => {
    const restore = await during(`asking ${url}`, client.restore.show(undefined, { signal }));
    const words = { none: "the database is no restored one", held: restore.reason ?? "nothing is sent yet" };
    print(
      json
        ? toJson(restore)
        : restore.state === "over"
          ? `at one with the chains since ${restore.endedAt}`
          : words[restore.state],
    );
    return 0;
  });
}

export async function runRestoreRelease(args: readonly string[]): Promise<number> {
  const { json, ...where } = readOptions(restoreReleaseCommand, args);
  const { client, url } = connect(where);
  return interruptible(async (signal) => {
    const restore = await during(`asking ${url}`, client.restore.release(undefined, { signal }));
    print(json ? toJson(restore) : "the service sends again in a moment");
    return 0;
  });
}
