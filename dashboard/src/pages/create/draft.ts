/** What is being written, kept in this tab, so that a reload loses neither it nor whether it was sent already. */
import { TEMPLATE_KEY } from "../../board/request";

const DRAFT = "bullflow.draft";
const KEY = "bullflow.draft.key";

/** The text to begin with, if there is one. A template is taken once, in place of what was being written. */
export function takeDraft(): string | null {
  const template = sessionStorage.getItem(TEMPLATE_KEY);
  if (template !== null) {
    sessionStorage.removeItem(TEMPLATE_KEY);
    const text = indented(template);
    keepDraft(text);
    return text;
  }
  return sessionStorage.getItem(DRAFT);
}

export function keepDraft(text: string): void {
  try {
    sessionStorage.setItem(DRAFT, text);
  } catch {
    sessionStorage.removeItem(DRAFT); // too long for the browser; a reload will lose it
  }
}

/** The idempotency key of this very text: with it the same text is one flow, however often it is sent. */
export function keyOf(text: string): string {
  const print = `${text.length} ${hash(text)}`;
  const [known, key] = (sessionStorage.getItem(KEY) ?? "").split("|");
  if (known === print && key !== undefined) return key;
  const fresh = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  sessionStorage.setItem(KEY, `${print}|${fresh}`);
  return fresh;
}

/** It has become a flow: the next time the same text is another one. */
export function dropDraft(): void {
  sessionStorage.removeItem(DRAFT);
  sessionStorage.removeItem(KEY);
}

function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** 53 bits of a text (cyrb53), enough to tell one draft from the next. */
function hash(text: string): number {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
