const id = "0b6f4f0e-6c39-4f0e-9f5e-3a8f3f6f1c52";
const since = "2026-11-22T09:00:01.000Z";

export const instanceExample = {
  ...{ id, name: "relay-1", host: "relay-1", pid: 4711, version: "0.1.0" },
  roles: ["indexer", "relayer", "swapper", "api"],
  state: "working",
  ...{ startedAt: "2026-11-22T09:00:00.000Z", seenAt: "2026-11-22T09:12:30.000Z" },
  ...{ busy: 0.12, memoryBytes: 187_000_000, halted: [] },
  load: { eventLoop: 0.12, cpu: 0.15, slow: false, work: { relayer: 2, swapper: 0, api: 1 } },
  health: { ok: true, reasons: [] },
  configuration: {
    ...{ fingerprint: "5f0c2a9be1d34477", shared: "91be7702cd1f0a36" },
    ...{ loadedAt: "2026-11-22T09:00:00.000Z", waiting: [] },
  },
  leases: [{ name: "indexer/alpha", term: "3", since }],
};

export const leaseExample = {
  ...{ name: "indexer/alpha", term: "3", holder: id, since, until: "2026-11-22T09:12:35.000Z" },
};
