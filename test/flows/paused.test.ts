import assert from "node:assert/strict";
import { it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { checkBalances } from "#app/demo/balances.ts";
import { scenarios } from "#app/demo/swaps.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { forEachHome, shareNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { assertOnce } from "./lockFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

/** Where a process stops: right before bytes leave, after they were signed or let go, or after a block was recorded. */
const swapMarks = [
  ...["signed/swap.lock-source", "released/swap.lock-target", "revealing/swap.claim-target"],
  ...["released/swap.claim-target", "signed/swap.claim-source", "indexed/beta"],
];
const messageMarks = ["released/relay.deliver", "indexed/alpha"];
const timeoutMs = 90_000;

await forEachHome("a process that stops before it sends, while another goes on,", (home) => {
  if (home.name !== "PostgreSQL") return;
  const open = shareNetwork(home);

  /** Alone at first, so that it comes to the mark; the service is started beside it, and ends the work without it. */
  async function stoppingAt<T>(mark: string, work: (member: Member) => Promise<T>, end: (made: T) => Promise<void>) {
    const test = open();
    await test.network.service.stop();
    const member = await startMember(test, "sleeper", { env: { LOCKSTEP_PAUSE_AT: mark } });
    try {
      const made = await work(member);
      await until(() => member.isSilent(), `it stops at ${mark}`);
      await test.network.service.start();
      await end(made);
      member.goOn();
      // It sends what it was about to, and hears that its work is somebody else's.
      const { leases } = await leasesOf(test.api);
      await until(async () => (await leasesOf(member.api)).leases.some((each) => !same(leases, each)), "it is back");
      await end(made);
    } finally {
      member.goOn();
      await member.stop();
    }
  }
  type Leases = { leases: { name: string; term: string; holder?: string }[] };
  const leasesOf = (api: Member["api"]) => api.get<Leases>("/v1/leases");
  const same = (before: Leases["leases"], now: Leases["leases"][number]) =>
    before.some(({ name, holder }) => name === now.name && holder === now.holder);

  for (const mark of swapMarks) {
    it(`makes no second effect of a swap when it wakes up (${mark})`, async () => {
      const { network, ledger, api } = open();
      const before = await ledger.holdings(["alice", "bob"]);
      const ask = (member: Member) => member.api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
      await stoppingAt(mark, ask, async ({ id }) => {
        const over = ({ status }: SwapAnswer) => ["completed", "refunded", "failed"].includes(status);
        const swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, over, timeoutMs);
        assert.equal(swap.status, "completed", JSON.stringify(swap, null, 2));
        await assertOnce(network, [swap]);
      });
      assert.deepEqual(checkBalances(before, await ledger.holdings(["alice", "bob"]), scenarios.slice(0, 1)), []);
    });
  }

  for (const mark of messageMarks) {
    it(`delivers a message once (${mark})`, async () => {
      const { network, api } = open();
      const { recorded } = chainFacts(network, "beta");
      const before = await recorded();
      const ask = (member: Member) => member.api.post<MessageAnswer>("/v1/messages", messageRequest(network));
      await stoppingAt(mark, ask, async ({ id }) => {
        const over = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
        assert.equal((await api.until<MessageAnswer>(`/v1/messages/${id}`, over, timeoutMs)).status, "delivered");
        assert.equal(await recorded(), before + 1n);
      });
    });
  }
});
