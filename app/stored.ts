import { archiveMigrations } from "#core/archive/tables.ts";
import { restoreMigrations } from "#core/backup/tables.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { accessMigrations } from "#core/http/credentials/tables.ts";
import { idempotencyMigrations } from "#core/http/idempotency/tables.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { instanceMigrations } from "#core/lease/instances.ts";
import { leaseMigrations } from "#core/lease/tables.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { relayEvents, relayMigrations, relayProjections } from "#relay";
import { swapEvents, swapMigrations, swapProjections } from "#swap";
import { registryMigrations } from "./registry/tables.ts";
import { webhookMigrations } from "./webhooks/tables.ts";

/** Every table of the service. */
export const migrations = [
  ...eventMigrations,
  ...indexerMigrations,
  ...senderMigrations,
  ...relayMigrations,
  ...swapMigrations,
  ...registryMigrations,
  ...accessMigrations,
  ...webhookMigrations,
  ...idempotencyMigrations,
  ...auditMigrations,
  ...instanceMigrations,
  ...leaseMigrations,
  ...archiveMigrations,
  ...restoreMigrations,
];

/** Every event there is. */
export const serviceEvents = { ...intentEvents, ...relayEvents, ...swapEvents };

/** The read models that are made of them. */
export const projections = [...relayProjections, ...swapProjections];
