import { accessRoles, apiKeyKinds } from "#core/kernel/accessRoles.ts";
import { command } from "./options.ts";

/** Where `npm start` keeps its network. */
export const defaultDataDir = ".lockstep";
const dataDir = "folder for keys, data and logs";

/** Said of every command: what it prints is for programs then, and all else goes to standard error. */
export const json = { json: { what: "print JSON on standard output, and nothing else there" } } as const;

const networkOptions = {
  "data-dir": { what: dataDir, value: "FOLDER", fallback: defaultDataDir },
  port: { what: "of the API", value: "PORT", fallback: "7600" },
  "alpha-port": { what: "of the chain alpha", value: "PORT", fallback: "8545" },
  "beta-port": { what: "of the chain beta", value: "PORT", fallback: "8546" },
  "validator-port": { what: "of the first validator; the others follow", value: "PORT", fallback: "7611" },
  reset: { what: "forget what belongs to earlier local chains" },
  ...json,
} as const;

export const startCommand = command({
  name: "start",
  summary: "run a local network, or the service of a configuration with --config",
  options: {
    config: { what: "run the service of this configuration instead", value: "FILE" },
    ...networkOptions,
  },
  examples: ["start", "start --reset --port 7700", "start --config lockstep.json"],
});

export const networkCommand = command({
  name: "network",
  summary: "run two local chains, three validators and the service",
  options: networkOptions,
  examples: ["network", "network --reset", "network --data-dir /tmp/lockstep --port 0 --json"],
});

export const demoCommand = command({
  name: "demo",
  summary: "run a network, send messages and swaps, print what happened",
  options: {
    ...json,
    "data-dir": { what: `${dataDir}; one that is removed afterwards when left out`, value: "FOLDER" },
  },
  examples: ["demo", "demo --json"],
});

export const serviceCommand = command({
  name: "service",
  summary: "run the service",
  options: { config: { what: "its configuration", value: "FILE", fallback: "lockstep.json" }, ...json },
  examples: ["service --config lockstep.json"],
});

const serviceFile = {
  config: { what: "the service's configuration", value: "FILE", fallback: "lockstep.json" },
} as const;

export const apiKeyCreateCommand = command({
  name: "api-key create",
  summary: "make a key for a caller of the API, and print it once",
  options: {
    ...serviceFile,
    name: { what: "who has it", value: "NAME" },
    role: { what: "viewer, trader, operator or admin", value: "ROLE", words: accessRoles },
    kind: {
      what: "bearer, which is sent, or hmac, which requests are signed with",
      ...{ value: "KIND", fallback: "bearer", words: apiKeyKinds },
    },
    accounts: { what: "managed accounts that it may act for, with commas; all when left out", value: "NAMES" },
    expires: { what: "when it stops to count, such as 2026-01-31T12:00:00Z", value: "TIME" },
    ...json,
  },
  examples: ["api-key create --name ops --role operator", "api-key create --name shop --role trader --accounts alice"],
});

export const auditVerifyCommand = command({
  name: "audit verify",
  summary: "tell whether the audit is as it was written, and its head",
  options: {
    ...serviceFile,
    export: { what: "checks what `audit export` printed, rather than the database", value: "FILE" },
    head: { what: "a line that has to be among them, as an earlier check printed it", value: "SEQ:HASH" },
    ...json,
  },
  examples: ["audit verify --config lockstep.json", "audit verify --export audit.jsonl --head 812:9f0c…"],
});

export const auditExportCommand = command({
  name: "audit export",
  summary: "print who asked the API for what, oldest first, a line of JSON each, and a last one with the head",
  options: { ...serviceFile, ...json },
  examples: ["audit export --config lockstep.json > audit.jsonl"],
});

export const archiveRunCommand = command({
  name: "archive run",
  summary: "move what has ended and is old enough from the database to files",
  options: { ...serviceFile, ...json },
  examples: ["archive run --config lockstep.json"],
});

export const archiveListCommand = command({
  name: "archive list",
  summary: "show the newest files of the archive",
  options: { ...serviceFile, ...json },
  examples: ["archive list --config lockstep.json"],
});

export const archiveShowCommand = command({
  name: "archive show",
  summary: "print what is in the archive of a message, a swap or a transaction's intent, as a line of JSON",
  arguments: { id: { value: "ID", what: "its id, here or on a chain" } },
  options: { ...serviceFile, ...json },
  examples: ["archive show 5d2c6f0e-7d3f-4f0e-9d57-3f3b2a1c9e10 --config lockstep.json"],
});

const backupFile = { file: { what: "the backup", value: "FILE" } } as const;

export const backupCreateCommand = command({
  name: "backup create",
  summary: "write all that the database has into one file, beside a running service",
  arguments: backupFile,
  options: { ...serviceFile, ...json },
  examples: ["backup create lockstep-2026-11-22.backup --config lockstep.json"],
});

export const backupVerifyCommand = command({
  name: "backup verify",
  summary: "read a backup whole, check every sum, and tell what is in it",
  arguments: backupFile,
  options: {
    config: { what: "checks as well that it was made under the sealing key of this configuration", value: "FILE" },
    ...json,
  },
  examples: ["backup verify lockstep-2026-11-22.backup --config lockstep.json"],
});

export const backupRestoreCommand = command({
  name: "backup restore",
  summary: "fill an empty database with a backup",
  arguments: backupFile,
  options: {
    ...serviceFile,
    moved: { what: "the service was stopped before the backup and has not run since: it goes on as it was left" },
    "stay-held": { what: "send nothing until an operator says so, also once the service is at one with the chains" },
    ...json,
  },
  examples: [
    "backup restore lockstep-2026-11-22.backup --config lockstep.json",
    "backup restore lockstep-2026-11-22.backup --config lockstep.json --stay-held",
  ],
});

export const replayCommand = command({
  name: "replay",
  summary: "make the read models anew from the events, up to a point in time, and tell what they say; changes nothing",
  options: {
    ...serviceFile,
    file: { what: "of a backup instead of the database", value: "FILE" },
    until: { what: "the last event that counts: its position, or a time such as 2026-01-31T12:00:00Z", value: "POINT" },
    subject: { what: "only what happened to a swap or a message", value: "ID" },
    check: { what: "compare with the read models as they are, and name every row that differs" },
    ...json,
  },
  examples: [
    "replay --check",
    "replay --until 2026-01-31T12:00:00Z --subject 5036b393-1377-4f79-a7ff-3bea623db5c1",
    "replay --file lockstep-2026-11-22.backup --until 4711",
  ],
});

export const recoverCommand = command({
  name: "recover",
  summary: "finish the locks of managed accounts from the chains alone",
  options: {
    ...serviceFile,
    "dry-run": { what: "only show what was found, and send nothing" },
    once: { what: "do what can be done now, and do not wait for timelocks and secrets" },
    ...json,
  },
  examples: ["recover --config lockstep.json --dry-run", "recover --config lockstep.json --once --json"],
});

export const validatorCommand = command({
  name: "validator",
  summary: "run a validator",
  options: {
    config: { what: "its configuration", value: "FILE", fallback: "validator.json" },
    resume: { what: "sign again after it has halted" },
    ...json,
  },
  examples: ["validator --config validator.json"],
});

export const deployCommand = command({
  name: "deploy",
  summary: "deploy the contracts to a chain, and write down their addresses",
  options: {
    rpc: { what: "the chain's JSON-RPC over HTTP", value: "URL" },
    name: { what: "what the configuration will call the chain", value: "NAME", fallback: "chain" },
    "chain-id": { what: "refuse any other chain than this", value: "ID" },
    "key-file": { what: "file with the deployer's private key, 0x-prefixed hex", value: "FILE" },
    out: { what: "file for the addresses; NAME.deployment.json when left out", value: "FILE" },
    administrator: { what: "who says who holds the roles; the deployer when left out", value: "ADDRESS" },
    governance: { what: "who sets lanes, validators and code; the deployer when left out", value: "ADDRESS" },
    guardian: { what: "who may pause and revoke; the deployer when left out", value: "ADDRESS" },
    operator: { what: "who sets prices and defers messages; the deployer when left out", value: "ADDRESS" },
    delay: { what: "seconds between what governance decides and what happens", value: "SECONDS", fallback: "0" },
    finality: {
      what: "wait until final: safe, finalized, or a number of blocks",
      value: "WHEN",
      fallback: "finalized",
    },
    "dry-run": { what: "only tell the addresses and what it would cost" },
    yes: { what: "do not ask" },
    ...json,
  },
  examples: [
    "deploy --rpc https://rpc.example --name mainnet --chain-id 1 --key-file deployer.key --dry-run",
    "deploy --rpc http://127.0.0.1:8545 --name alpha --key-file deployer.key --finality 0 --yes",
  ],
});

export const doctorCommand = command({
  name: "doctor",
  summary: "find what is wrong with a setup, and tell what to do about it; changes nothing",
  options: { ...serviceFile, ...json },
  examples: ["doctor --config lockstep.json", "doctor --config .lockstep/service.json --json"],
});

const validatorFile = { validator: { what: "the file is a validator's configuration" }, ...json } as const;

export const configCheckCommand = command({
  name: "config check",
  summary: "tell everything that is wrong with a configuration file",
  arguments: { file: { what: "the configuration", value: "FILE" } },
  options: validatorFile,
  examples: ["config check lockstep.json", "config check validator.json --validator"],
});

export const configShowCommand = command({
  name: "config show",
  summary: "print a configuration with everything that it leaves out filled in",
  arguments: { file: { what: "the configuration", value: "FILE" } },
  options: validatorFile,
  examples: ["config show lockstep.json"],
});

export const configSchemaCommand = command({
  name: "config schema",
  summary: "print the JSON Schema of configuration files, for editors and other tools",
  options: { validator: { what: "of a validator's configuration" }, ...json },
  examples: ["config schema > lockstep.schema.json"],
});

const shells = ["bash", "zsh", "fish"] as const;

export const completionCommand = command({
  name: "completion",
  summary: "print the completion script of a shell",
  arguments: { shell: { what: `one of ${shells.join(", ")}`, value: "SHELL", words: shells } },
  options: {},
  examples: [
    'completion bash > ~/.local/share/bash-completion/completions/lockstep   # or: eval "$(lockstep completion bash)"',
    'completion zsh > "$HOME/.zfunc/_lockstep"   # a folder of $fpath',
    "completion fish > ~/.config/fish/completions/lockstep.fish",
  ],
});

const newKeystore = {
  out: { what: "where the keystore is written", value: "FILE" },
  "password-file": { what: "holds the password; asked for at the terminal otherwise", value: "FILE" },
} as const;

export const keysNewCommand = command({
  name: "keys new",
  summary: "make a key, and write it as a keystore under a password",
  options: { ...newKeystore, ...json },
  examples: ["keys new --out relayer.json", "keys new --out relayer.json --password-file relayer.password --json"],
});

export const keysImportCommand = command({
  name: "keys import",
  summary: "write a private key as a keystore under a password",
  options: {
    ...newKeystore,
    "key-file": { what: "holds the private key; asked for at the terminal otherwise", value: "FILE" },
    ...json,
  },
  examples: ["keys import --out bob.json --key-file bob.key --password-file bob.password"],
});

export const keysListCommand = command({
  name: "keys list",
  summary: "tell the addresses of a configuration's accounts, or of a keystore; asks for no password",
  arguments: { keystore: { what: "a keystore", value: "FILE", optional: true } },
  options: { config: { what: "the service's configuration", value: "FILE" }, ...json },
  examples: ["keys list --config lockstep.json", "keys list relayer.json --json"],
});

export const keysRotateCommand = command({
  name: "keys rotate",
  summary: "bring what is sealed in the database under the present sealing key",
  options: { ...serviceFile, ...json },
  examples: ["keys rotate --config lockstep.json"],
});
