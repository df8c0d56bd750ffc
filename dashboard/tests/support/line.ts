/** A browser with WebSockets whose other end is the test. */
import { vi } from "vitest";
import type { Live } from "../../src/api/live";
import { FAKED } from "./service";

interface Sent {
  action: string;
  flowId?: string;
  after?: number;
}

export class FakeSocket {
  static readonly OPEN = 1;
  /** All that were ever dialled. */
  static all: FakeSocket[] = [];

  readyState = 0;
  readonly sent: Sent[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((closed: { code: number }) => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Sent);
  }

  close(): void {
    this.drop(1000);
  }

  /** The other end takes the call. */
  answer(): this {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
    return this;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  drop(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

export interface Browser {
  window: EventTarget;
  document: EventTarget & { visibilityState: string };
}

/** A page just loaded: its line is dialled, and nobody has answered yet. */
export async function aPage(protocol = "http:"): Promise<{ live: Live; browser: Browser }> {
  vi.useFakeTimers({ toFake: [...FAKED] });
  vi.spyOn(Math, "random").mockReturnValue(0.5); // pauses are neither shorter nor longer by chance
  FakeSocket.all = [];
  const browser = { window: new EventTarget(), document: Object.assign(new EventTarget(), { visibilityState: "visible" }) };
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("window", browser.window);
  vi.stubGlobal("document", browser.document);
  vi.stubGlobal("location", { protocol, host: "flows.test" });
  vi.resetModules(); // the module dials when it is loaded
  const { live } = await import("../../src/api/live");
  return { live, browser };
}

/** The line that was dialled last. */
export function socket(): FakeSocket {
  const last = FakeSocket.all.at(-1);
  if (last === undefined) throw new Error("nothing was dialled");
  return last;
}
