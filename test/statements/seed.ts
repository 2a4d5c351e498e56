import type { Queryable } from "#core/db/db.ts";

/**
 * Tables that grow as long as the service runs, each with the statement that puts `$1` rows of what has ended and a few
 * open ones into it. Failures are few. Whatever is not named here stays small: what validators have said is pruned, and the
 * rest has a row for each chain, lane, account or process.
 */
export const growing: Readonly<Record<string, string>> = {
  events: `
    INSERT INTO events (position, stream, version, type, data, at)
    SELECT n, 'message-' || n, 1, CASE n % 3 WHEN 0 THEN 'SwapRequested' ELSE 'MessageSent' END, '{}', now() - n * interval '1 s'
      FROM generate_series(1, $1::int) n`,
  event_archive: `
    INSERT INTO event_archive
    SELECT 'message-old-' || n, 'message', -n, 1 + n / 1000, 0, 1, 0, 1, '' FROM generate_series(1, $1::int) n`,
  event_archive_keys: `
    INSERT INTO event_archive_keys SELECT 'message', 'old-' || n, 2, 'message-old-' || n FROM generate_series(1, $1::int) n`,
  relay_messages: `
    INSERT INTO relay_messages (id, version, position, origin, destination, status, submitted, dropped, nonce, onchain_id,
        accumulator, gas_limit, payload_bytes, sent_block, sent_final, attested, delivery_intent, delivery_attempt,
        executed_block, executed_final, failed_final, retry_running)
    SELECT n::text, 1, n, CASE n % 2 WHEN 0 THEN 'alpha' ELSE 'beta' END, CASE n % 2 WHEN 0 THEN 'beta' ELSE 'alpha' END,
        CASE WHEN n > $1 - 20 THEN 'final' ELSE 'delivered' END, true, false, n, 'onchain-' || n, 'a-' || n, 1, 1, n, true, n <= $1 - 20,
        CASE WHEN n <= $1 - 20 THEN 'i-' || n END, 1, CASE WHEN n <= $1 - 20 THEN n END, n <= $1 - 20, false, false
      FROM generate_series(1, $1::int) n`,
  relay_runs: `
    INSERT INTO relay_runs SELECT n, 'alpha', 'beta', int8range(n, n + 50) FROM generate_series(1, $1::int) n`,
  relay_failures: `
    INSERT INTO relay_failures (id, origin, destination, code, failed_at, misses, dead, abandoned)
    SELECT n::text, 'alpha', 'beta', 'execution-failed', n, 0, n % 9 = 0, false FROM generate_series(1, $1::int / 100) n`,
  swaps: `
    INSERT INTO swaps (id, requested_at_position, hashlock, version, due_at, requested_at)
    SELECT n::text, n, 'h-' || n, 9, CASE WHEN n > $1 - 20 THEN now() END, now() - n * interval '1 s' FROM generate_series(1, $1::int) n`,
  swap_legs: `
    INSERT INTO swap_legs (lock_id, swap_id, leg, chain, sender, asset, amount, pending, lock_block, lock_final, end_block,
        end_kind, end_final, claimer, refunder, recipient, timelock, ended)
    SELECT leg || n, n::text, leg, CASE leg WHEN 'source' THEN 'alpha' ELSE 'beta' END, 's-' || n % 5000, 'native', 1, false, n, true,
        CASE WHEN n <= $1 - 20 THEN n END, CASE WHEN n <= $1 - 20 THEN 'claim' END, n <= $1 - 20, 'bob', 'alice', 'r-' || n % 5000, n, n <= $1 - 20
      FROM generate_series(1, $1::int) n, unnest(ARRAY['source', 'target']) leg`,
  swap_secrets: `INSERT INTO swap_secrets SELECT 'h-' || n, '\\x00' FROM generate_series(1, $1::int) n`,
  swap_used_quotes: `
    INSERT INTO swap_used_quotes SELECT 'n-' || n, n::text, now() + interval '1 day' FROM generate_series(1, $1::int) n`,
  sender_intent: `
    INSERT INTO sender_intent (id, chain, account, kind, subject, call, gas, dry_run, state, nonce)
    SELECT 'i-' || n, CASE n % 2 WHEN 0 THEN 'alpha' ELSE 'beta' END, 'a-' || n % 5, 'relay.deliver', 'subject-' || n, '{}', 1, false,
        CASE WHEN n > $1 - 20 THEN 'signed' ELSE 'finalized' END, n FROM generate_series(1, $1::int) n`,
  sender_attempt: `
    INSERT INTO sender_attempt (hash, intent, nonce, kind, max_fee, max_tip)
    SELECT 'hash-' || n, 'i-' || n, n, 'call', 1, 1 FROM generate_series(1, $1::int) n`,
  lock_ledger: `
    INSERT INTO lock_ledger (chain, lock_id, block, log_index, block_hash, tx, kind, sender, recipient, token, amount, hashlock,
        timelock, tip, end_kind, end_block, end_log_index)
    SELECT CASE n % 2 WHEN 0 THEN 'alpha' ELSE 'beta' END, 'l-' || n, n, 0, 'b', 't', 'payment', 's-' || n % 500, 'r-' || n % 500, '0x', 1,
        'h-' || n, n, 0, CASE WHEN n <= $1 - 20 THEN 'claimed' END, CASE WHEN n <= $1 - 20 THEN n END, 1 FROM generate_series(1, $1::int) n`,
  lock_ends: `
    INSERT INTO lock_ends (chain, lock_id, block, log_index, block_hash, tx, kind)
    SELECT CASE n % 2 WHEN 0 THEN 'alpha' ELSE 'beta' END, 'l-' || n, n, 1, 'b', 't', 'claimed' FROM generate_series(1, $1::int) n`,
  lock_hashlocks: `INSERT INTO lock_hashlocks SELECT 'h-' || n FROM generate_series(1, $1::int) n`,
  lock_watches: `
    INSERT INTO lock_watches (id, chain, lock_id, hashlock, version, refunds, due_at)
    SELECT n::text, CASE n % 2 WHEN 0 THEN 'alpha' ELSE 'beta' END, 'l-' || n, 'h-' || n, 1, true, CASE WHEN n > $1 - 20 THEN now() END
      FROM generate_series(1, $1::int) n`,
  audit_log: `
    INSERT INTO audit_log (seq, kind, request, at, caller, method, route, count, hash)
    SELECT n, 'answered', 'r', n, 'c-' || n % 20, 'POST', '/v1/swaps', 1, 'h' FROM generate_series(1, $1::int) n`,
  idempotency_keys: `
    INSERT INTO idempotency_keys (caller, key, fingerprint, seed, status, answer, expires_at)
    SELECT 'c', 'k-' || n, '\\x00', gen_random_uuid(), 200, '\\x00', now() + n * interval '1 s' FROM generate_series(1, $1::int) n`,
  request_nonces: `
    INSERT INTO request_nonces SELECT 'k', 'n-' || n, now() + n * interval '1 s' FROM generate_series(1, $1::int) n`,
};

/** Fills the tables, in the middle of a life: most has ended. */
export async function seed(db: Queryable, rows: number): Promise<void> {
  for (const sql of Object.values(growing)) await db.query(sql, [rows]);
  await db.query("UPDATE event_counter SET position = $1", [rows]);
  await db.query("INSERT INTO event_subscriptions VALUES ('jobs', $1)", [rows - 5]);
  await db.query("INSERT INTO lock_heights VALUES ('alpha', $1), ('beta', $1)", [rows]);
  await db.query("ANALYZE");
}
