// Bodies and answers as they are on the wire.

export const apiKeyOrderExample = { name: "desk-1", role: "trader", kind: "bearer", accounts: ["alice"] };

export const apiKeyExample = {
  ...{ id: "0123456789abcdef", kind: "bearer", name: "desk-1", role: "trader", accounts: ["alice"] },
  ...{ createdAt: "2026-01-31T12:00:00.000Z", createdBy: "local" },
};

const digest = "5e".repeat(32);

export const auditLineExample = {
  ...{ seq: 7, kind: "answered", request: "req-1", at: 1_769_860_800_000, caller: "key:desk-1", address: "127.0.0.1" },
  ...{ method: "POST", route: "/v1/swaps", params: null, idempotencyKey: null, body: digest },
  ...{ status: 202, code: null, durationMs: 12, count: 1, hash: digest },
};

export const webhookOrderExample = { url: "https://receiver.example/lockstep", filter: { chain: "alpha" } };

export const webhookExample = {
  ...{ id: "1f0c9d1e-7f0f-4f5e-9f43-6a4f5f9f8f10", host: "receiver.example", filter: { chain: "alpha" } },
  ...{ state: "active", position: "41", failures: 0, createdAt: "2026-01-31T12:00:00.000Z" },
};

export const eventExample = {
  ...{ id: "42", type: "SwapGivenUp", kind: "swap", subject: "5036b393-1377-4f79-a7ff-3bea623db5c1", version: 3 },
  ...{ at: "2026-01-31T12:00:00.000Z", chains: ["alpha", "beta"] },
  data: { code: "deadline-passed", detail: "too late" },
};
