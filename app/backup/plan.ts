import type { BackupPlan, KeptTable } from "#core/backup/plan.ts";
import { makeListedPartitions, resumeApart } from "#core/events/partitions.ts";

const all = (...names: string[]): KeptTable[] => names.map((name) => ({ name }));

/** Far above all terms of a process that was paused before the restore and wakes up after it. */
const termsApart = 1_000_000;

/** The one place where it is said of every table whether it is in backups. A test holds it against the migrations. */
export const backupPlan: BackupPlan = {
  resume: resumeApart,
  kept: [
    ...all("restores", "restore_chains"),
    {
      name: "event_partitions",
      beforehand: async (tx) => void (await tx.query("DELETE FROM event_partitions")),
    },
    { name: "events", beforehand: makeListedPartitions },
    ...all("event_counter", "event_subscriptions", "event_kept", "event_archive", "event_archive_keys"),
    {
      name: "archive_files",
      // Whoever was writing goes on where it is; its file is not ours to remove.
      afterwards: "DELETE FROM archive_files WHERE state <> 'stored'",
    },
    ...all("indexer_checkpoint", "indexer_block"),
    ...all("sender_chain", "sender_intent", "sender_attempt", "sender_spent"),
    ...all("relay_messages", "relay_runs", "relay_failures", "relay_orphans", "relay_realignments"),
    ...all("relay_lane_destinations", "relay_lane_troubles", "relay_lane_findings"),
    ...all("relay_attestations", "relay_contradictions", "relay_evidence", "relay_misbehaviour"),
    ...all("relay_set_facts", "relay_headers", "relay_bridges"),
    ...all("swap_secrets", "swaps", "swap_legs", "swap_used_quotes", "swap_halts"),
    ...all("lock_ledger", "lock_ends", "lock_hashlocks", "lock_heights", "lock_watches"),
    ...all("registry_words", "api_keys", "request_nonces", "audit_log", "audit_head", "audit_archive"),
    {
      name: "webhooks",
      // Whoever was sending is gone.
      afterwards: "UPDATE webhooks SET holder = NULL, held_until = clock_timestamp()",
    },
    {
      name: "idempotency_keys",
      // A request that was under way can be taken over at once: its ids derive from its seed.
      afterwards: "UPDATE idempotency_keys SET holder = NULL, leased_until = NULL WHERE holder IS NOT NULL",
    },
    {
      name: "leases",
      // Nobody holds anything, and no term comes a second time.
      afterwards: `UPDATE leases SET holder = NULL, until = clock_timestamp(), term = term + ${termsApart}`,
    },
  ],
  leftOut: {
    migrations: "written anew while the tables are made; the manifest says which",
    instances: "processes that are not there any more",
    lease_terms: "who held what once; the terms go on in leases",
  },
};
