import { hasStatusLine, showStatus } from "./terminal.ts";

const patienceMs = 1_000;

/** Waits for work, and says what is waited for once it takes longer than a second. */
export async function during<T>(doing: string, work: Promise<T>): Promise<T> {
  const begun = Date.now();
  const tell = () => {
    const seconds = Math.round((Date.now() - begun) / 1_000);
    showStatus(hasStatusLine() ? `${doing} … ${seconds} s` : `${doing} …`);
  };
  const timer = setInterval(tell, patienceMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    showStatus("");
  }
}
