import * as client from "./clientSpecs.ts";
import type { CommandSpec } from "./options.ts";
import * as specs from "./specs.ts";

/** A command gets its own arguments, and what all commands are; it answers with the exit code. */
type Command = (args: readonly string[], all: readonly CommandSpec[]) => Promise<number>;

const messages = () => import("./messages.ts");
const swaps = () => import("./swaps.ts");
const instances = () => import("./instances.ts");
const config = () => import("./config.ts");
const keys = () => import("./keys.ts");
const archive = () => import("./archive.ts");
const restore = () => import("./restore.ts");
const backup = () => import("./backup.ts");
const audit = () => import("./audit.ts");

/** Every command; what it does is loaded only when it is run. */
export const commands: readonly { readonly spec: CommandSpec; load(): Promise<Command> }[] = [
  { spec: specs.startCommand, load: async () => (await import("./start.ts")).runStart },
  { spec: specs.demoCommand, load: async () => (await import("./demo.ts")).runDemo },
  { spec: specs.deployCommand, load: async () => (await import("./deploy.ts")).runDeploy },
  { spec: client.messageSendCommand, load: async () => (await messages()).runMessageSend },
  { spec: client.messageGetCommand, load: async () => (await messages()).runMessageGet },
  { spec: client.messageListCommand, load: async () => (await messages()).runMessageList },
  { spec: client.messageRetryCommand, load: async () => (await messages()).runMessageRetry },
  { spec: client.swapRequestCommand, load: async () => (await swaps()).runSwapRequest },
  { spec: client.swapGetCommand, load: async () => (await swaps()).runSwapGet },
  { spec: client.swapListCommand, load: async () => (await swaps()).runSwapList },
  { spec: client.swapClaimCommand, load: async () => (await swaps()).runSwapClaim },
  { spec: client.swapRefundCommand, load: async () => (await swaps()).runSwapRefund },
  { spec: client.swapApproveCommand, load: async () => (await swaps()).runSwapApprove },
  { spec: client.swapRejectCommand, load: async () => (await swaps()).runSwapReject },
  { spec: client.quoteCommand, load: async () => (await import("./quote.ts")).runQuote },
  { spec: client.watchCommand, load: async () => (await import("./watch.ts")).runWatch },
  { spec: client.instanceListCommand, load: async () => (await instances()).runInstanceList },
  { spec: client.instanceDrainCommand, load: async () => (await instances()).runInstanceDrain },
  { spec: client.restoreShowCommand, load: async () => (await restore()).runRestoreShow },
  { spec: client.restoreReleaseCommand, load: async () => (await restore()).runRestoreRelease },
  { spec: client.eventsCommand, load: async () => (await import("./events.ts")).runEvents },
  { spec: specs.recoverCommand, load: async () => (await import("./recover.ts")).runRecover },
  { spec: specs.backupCreateCommand, load: async () => (await backup()).runBackupCreate },
  { spec: specs.backupVerifyCommand, load: async () => (await backup()).runBackupVerify },
  { spec: specs.backupRestoreCommand, load: async () => (await backup()).runBackupRestore },
  { spec: specs.replayCommand, load: async () => (await import("./replay.ts")).runReplay },
  { spec: specs.doctorCommand, load: async () => (await import("./doctor.ts")).runDoctor },
  { spec: specs.keysNewCommand, load: async () => (await keys()).runKeysNew },
  { spec: specs.keysImportCommand, load: async () => (await keys()).runKeysImport },
  { spec: specs.keysListCommand, load: async () => (await keys()).runKeysList },
  { spec: specs.keysRotateCommand, load: async () => (await keys()).runKeysRotate },
  { spec: specs.apiKeyCreateCommand, load: async () => (await import("./apiKey.ts")).runApiKeyCreate },
  { spec: specs.archiveRunCommand, load: async () => (await archive()).runArchiveRun },
  { spec: specs.archiveListCommand, load: async () => (await archive()).runArchiveList },
  { spec: specs.archiveShowCommand, load: async () => (await archive()).runArchiveShow },
  { spec: specs.auditVerifyCommand, load: async () => (await audit()).runAuditVerify },
  { spec: specs.auditExportCommand, load: async () => (await audit()).runAuditExport },
  { spec: specs.configCheckCommand, load: async () => (await config()).runConfigCheck },
  { spec: specs.configShowCommand, load: async () => (await config()).runConfigShow },
  { spec: specs.configSchemaCommand, load: async () => (await config()).runConfigSchema },
  { spec: specs.completionCommand, load: async () => (await import("./completion.ts")).runCompletion },
  { spec: specs.networkCommand, load: async () => (await import("./network.ts")).runNetwork },
  { spec: specs.serviceCommand, load: async () => (await import("./service.ts")).runService },
  { spec: specs.validatorCommand, load: async () => (await import("./validator.ts")).runValidator },
];
