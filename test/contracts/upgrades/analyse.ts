import { createRequire } from "node:module";
import {
  getErrors,
  getStorageLayout,
  makeNamespacedInput,
  type SolcInput,
  type SolcOutput,
  type StorageLayout,
  solcInputOutputDecoder,
  UpgradeableContractErrorReport,
  type ValidationOptions,
  validate,
  withValidationDefaults,
} from "@openzeppelin/upgrades-core";
import { stringToHex } from "viem";

const require = createRequire(import.meta.url);
const solc: { compile(input: string): string } = require("solc");
const { version: solcVersion }: { version: string } = require("solc/package.json");

export type CompilerInput = SolcInput & { settings: Record<string, unknown> };
export type LinkReferences = Record<string, Record<string, { length: number; start: number }[]>>;

/** What OpenZeppelin's validation says about one implementation contract. */
export type Analysis = {
  /** What would make it unsafe behind a proxy, in words; undefined when nothing does. */
  readonly unsafe: string | undefined;
  readonly layout: StorageLayout;
};

export const validationOptions: Required<ValidationOptions> = withValidationDefaults({ kind: "uups" });

/**
 * Validates contracts ("source:contract", each with its libraries to link, if any) of one compiler input. Only syntax
 * trees and layouts are asked of the compiler, which makes no code and is quick. It gives slots and value types of
 * ERC-7201 namespaces only where a variable has their type, so the sources are compiled once more as OpenZeppelin
 * rewrites them for that.
 * Throws when they do not compile.
 */
export function analyse(input: CompilerInput, contracts: Readonly<Record<string, LinkReferences>>): Analysis[] {
  const output = compile(input);
  const namespaced = compile(makeNamespacedInput(input, output, solcVersion) as CompilerInput);
  for (const [source, compiled] of Object.entries(output.contracts)) {
    for (const [contract, part] of Object.entries(compiled)) {
      // The validation tells contracts apart by their code, of which it reads nothing else than libraries to link.
      const name = `${source}:${contract}`;
      const bytecode = { object: stringToHex(name).slice(2), linkReferences: contracts[name] ?? {} };
      Object.assign(part, { evm: { bytecode, deployedBytecode: bytecode } });
    }
  }
  const data = validate(output, solcInputOutputDecoder(input, output), solcVersion, input, namespaced);
  return Object.keys(contracts).map((name) => {
    const version = data[name]?.version;
    if (!version) throw new Error(`the compiler input has no contract ${name}`);
    const errors = getErrors(data, version, validationOptions);
    return {
      unsafe: errors.length > 0 ? new UpgradeableContractErrorReport(errors).explain(false) : undefined,
      layout: getStorageLayout(data, version),
    };
  });
}

function compile(input: CompilerInput): SolcOutput {
  const settings = { ...input.settings, outputSelection: { "*": { "*": ["storageLayout"], "": ["ast"] } } };
  const output = JSON.parse(solc.compile(JSON.stringify({ ...input, settings })));
  const errors = (output.errors ?? []).filter(({ severity }: { severity: string }) => severity === "error");
  if (errors.length > 0)
    throw new Error(errors.map((e: { formattedMessage: string }) => e.formattedMessage).join("\n"));
  return output;
}
