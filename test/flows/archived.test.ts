import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import pg from "pg";
import type { MessageAnswer } from "#app/demo/api.ts";
import { startMember } from "#test/support/fleet.ts";
import { forEachHome, openNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

type Message = MessageAnswer & { onchainId: string };
type Page = { messages: { id: string }[]; swaps: { id: string }[] };
const timeoutMs = 60_000;

await forEachHome("what has left the database", (home) => {
  if (home.name !== "PostgreSQL") return;

  it("is shown as it was by every id it had, and can be moved by nobody", { timeout: 180_000 }, async () => {
    const test = await openNetwork(home);
    const folder = mkdtempSync(join(tmpdir(), "lockstep-archived-"));
    const { network, env, api } = test;
    let where: Record<string, string> = {};
    const client = new pg.Client({ connectionString: env.DATABASE_URL });
    try {
      const member = await startMember(test, "keeper", {
        roles: ["api"],
        change: (settings) => ({ ...settings, archive: { store: { type: "folder", path: folder } } }),
      });
      const lockstep = async (...args: string[]) => {
        const file = join(network.layout.dataDir, "keeper", "service.json");
        const rest = { env: { ...process.env, ...env, ...where } };
        return (await promisify(execFile)(process.execPath, ["app/main.ts", ...args, "--config", file], rest)).stdout;
      };
      const send = async () => {
        const { id } = await api.post<Message>("/v1/messages", messageRequest(network));
        return api.until<Message>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
      };
      const message = await send();
      const { id } = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
      const swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
      const newest = await send();
      await client.connect();
      const left = await until(async () => {
        await client.query(
          "UPDATE lockstep.events SET at = at - interval '400 days' WHERE at > now() - interval '1 day'",
        );
        await lockstep("archive", "run");
        const { rows } = await client.query<{ stream: string }>("SELECT stream FROM lockstep.event_archive");
        const streams = rows.map(({ stream }) => stream);
        return [`message-${message.id}`, `swap-${swap.id}`].every((each) => streams.includes(each)) && streams;
      });
      assert.ok(!left.includes(`message-${newest.id}`), "whatever comes next continues the newest one");

      const shown = await member.api.get<Message>(`/v1/messages/${message.id}`);
      assert.deepEqual([shown.id, shown.status, shown.onchainId], [message.id, "delivered", message.onchainId]);
      assert.equal((await member.api.get<Message>(`/v1/messages/${message.onchainId}`)).id, message.id);
      for (const reference of [swap.id, swap.hashlock, swap.source.lockId, swap.target.lockId]) {
        const found = await member.api.get<SwapAnswer>(`/v1/swaps/${reference}`);
        const steps = (of: SwapAnswer) => of.timeline.map(({ what, transactionHash }) => [what, transactionHash]);
        assert.deepEqual([found.id, found.status], [swap.id, "completed"]);
        assert.deepEqual(steps(found).slice(0, swap.timeline.length), steps(swap));
      }
      for (const [path, gone] of [
        ["messages", message.id],
        ["swaps", swap.id],
      ] as const) {
        const idsOf = async (query: string) =>
          (await member.api.get<Page>(`/v1/${path}${query}`))[path].map((each) => each.id);
        assert.ok(!(await idsOf("")).includes(gone));
        assert.deepEqual((await idsOf("?archived=true")).includes(gone), true);
      }
      assert.match(await lockstep("archive", "show", swap.hashlock), new RegExp(`"stream":"swap-${swap.id}"`));
      assert.match(await lockstep("archive", "list"), /swap\/\d{4}\/\d\d\//);
      where = { DATABASE_URL: `${env.DATABASE_URL}-elsewhere` };
      await assert.rejects(lockstep("archive", "list"), { code: 78, stderr: /config-invalid: DATABASE_URL: .*exist/ });
      where = {};

      const refused = async (path: string) => {
        const headers = { authorization: `Bearer ${member.token}` };
        const response = await fetch(`${member.url}${path}`, { method: "POST", headers });
        return [response.status, ((await response.json()) as { code: string }).code];
      };
      assert.deepEqual(await refused(`/v1/messages/${message.id}/retry`), [409, "message-ended"]);
      const events = await fetch(`${member.url}/v1/events`, {
        headers: { authorization: `Bearer ${member.token}`, "last-event-id": "1" },
      });
      assert.equal(((await events.json()) as { code: string }).code, "event-position-gone");
      await send();
      assert.equal(await member.stop(), 0);
    } finally {
      await client.end();
      await test.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
