/** Questions and commands to the service. Whatever goes wrong is a `Problem` with words to show. */
import type { ProblemBody } from "./types";

const TIMEOUT_MS = 30_000;

/** An answer of the service that is an error, or none at all (`status` 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly faults: ProblemBody["errors"] = [],
  ) {
    super(detail || title);
  }
}

const hearers = new Set<(status: number) => void>();

/** Be told the status of every answer, whoever has asked; returns how to stop. */
export function hearAnswers(hearer: (status: number) => void): () => void {
  hearers.add(hearer);
  return () => hearers.delete(hearer);
}

export function answered(status: number): void {
  for (const hearer of hearers) hearer(status);
}

export type Parameters = Record<string, string | number | boolean | null | undefined>;

interface Wish {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", withParameters(path, parameters), { signal });
}

export function post<T>(path: string, wish: Wish = {}): Promise<T> {
  return ask<T>("POST", path, wish);
}

export function put<T>(path: string, wish: Wish = {}): Promise<T> {
  return ask<T>("PUT", path, wish);
}

export function remove(path: string): Promise<void> {
  return ask<void>("DELETE", path, {});
}

/** The path with those of these parameters that say something. */
export function withParameters(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}

async function ask<T>(method: string, path: string, wish: Wish): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let answer: Response;
  let body: unknown;
  try {
    answer = await fetch(path, {
      method,
      headers: wish.body === undefined ? wish.headers : { "Content-Type": "application/json", ...wish.headers },
      // A text is sent as it is: what somebody has typed is theirs.
      body: wish.body === undefined ? undefined : typeof wish.body === "string" ? wish.body : JSON.stringify(wish.body),
      signal: wish.signal === undefined ? timeout : AbortSignal.any([wish.signal, timeout]),
    });
    // An error may come from a proxy, in its own words. What is well but cut off is no answer.
    if (answer.status !== 204) body = answer.ok ? await answer.json() : await answer.json().catch(() => null);
  } catch (error) {
    if (wish.signal?.aborted) throw error;
    const so = method === "GET" ? "It is asked again by itself." : "It is not known whether it was done: look before you try again.";
    throw new Problem(0, "No answer", `The service does not answer. ${so}`);
  }
  answered(answer.status);
  if (answer.ok) return body as T;
  throw problemOf(answer, body);
}

function problemOf(answer: Response, body: unknown): Problem {
  const problem = (body ?? {}) as Partial<ProblemBody>;
  return new Problem(
    answer.status,
    // There is no status text over HTTP/2.
    problem.title ?? (answer.statusText || "Error"),
    problem.detail ?? `The service has answered ${answer.status}.`,
    problem.errors ?? [],
  );
}

/** An error in words, whatever it is. */
export function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
