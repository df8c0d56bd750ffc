/** A service behind `fetch` that answers what the test tells it to, when the test tells it to. */
import { vi } from "vitest";

export class Service {
  /** All that was ever asked. */
  readonly asked: Question[] = [];
  private answer: ((question: Question) => unknown) | null = null;

  constructor() {
    vi.stubGlobal("fetch", (path: string, wish: RequestInit) => {
      const question = new Question(path, wish);
      this.asked.push(question);
      if (this.answer !== null) question.reply(this.answer(question));
      return question.promise;
    });
  }

  /** From now on whatever is asked is answered so, at once. */
  answersWith(answer: (question: Question) => unknown): void {
    this.answer = answer;
  }

  /** What was asked, and not answered yet. */
  get open(): Question[] {
    return this.asked.filter((question) => !question.isAnswered);
  }

  /** The first of these. */
  get next(): Question {
    const [first] = this.open;
    if (first === undefined) throw new Error("nothing is asked");
    return first;
  }
}

export class Question {
  readonly path: string;
  readonly query: Record<string, string>;
  readonly promise: Promise<Response>;
  isAnswered = false;
  private resolve: (answer: Response) => void = () => {};
  private reject: (error: unknown) => void = () => {};

  constructor(
    path: string,
    readonly wish: RequestInit,
  ) {
    const url = new URL(path, "http://service");
    this.path = url.pathname;
    this.query = Object.fromEntries(url.searchParams);
    this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
  }

  reply(body: unknown, status = 200): void {
    this.send(new Response(JSON.stringify(body), { status }));
  }

  send(answer: Response): void {
    this.isAnswered = true;
    this.resolve(answer);
  }

  /** The line is cut before there is an answer. */
  lose(): void {
    this.isAnswered = true;
    this.reject(new TypeError("fetch failed"));
  }
}

/** Node's; the sources know the browser's types alone. */
declare function setImmediate(run: () => void): void;

/** Whatever follows from what has happened by now has happened as well; no time passes by the faked clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Only these are faked: `settled` needs the others. */
export const FAKED = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] as const;
