import { LockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";

const backspaces = new Set(["\b", "\u007f"]);

/** A line typed at the terminal, which does not show it. Throws `config-invalid` where there is no terminal. */
export async function askHidden(prompt: string, instead: string): Promise<Redacted<string>> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new LockstepError("config-invalid", `there is no terminal to type at: use ${instead}`, {
      details: { field: instead },
    });
  }
  stderr.write(prompt);
  stdin.setRawMode(true);
  try {
    let typed = "";
    for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
      for (const letter of String(chunk)) {
        if (letter === "\r" || letter === "\n") return redact(typed);
        // The terminal leaves it to whoever reads letter by letter.
        if (letter === "\u0003") {
          stdin.setRawMode(false);
          stderr.write("\n");
          process.kill(process.pid, "SIGINT");
        }
        typed = backspaces.has(letter) ? typed.slice(0, -1) : typed + letter;
      }
    }
    return redact(typed);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}
