import type { Fault } from "../../src/pages/create/faults";

/** What is marked in the text, and what is said of it. */
export function marked(text: string, faults: readonly Fault[]): [string, string][] {
  return faults.map(({ from, to, detail }) => [text.slice(from, to), detail]);
}
