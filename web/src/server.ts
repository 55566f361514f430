/** The server: questions by fetch, news by a stream that is read by fetch, too, for an EventSource sends no token. */
import type { Change, Scene, State } from "./values";
import { token as read } from "./model/view";

const KEY = "wellhead-token";

/** Takes the token out of the address bar, and keeps it for this tab. */
export function takeToken(): void {
  const { token, rest } = read(location.hash);
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, "", rest ? `#${rest}` : location.pathname);
}

function headers(): Record<string, string> {
  return { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
}

export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function checked(response: Response): Promise<Response> {
  if (response.ok) return response;
  let message = `the server answered ${response.status}`;
  try {
    message = ((await response.json()) as { message: string }).message || message;
  } catch {
    // No sentence came with it.
  }
  throw new Refused(response.status, message);
}

export async function get<T>(path: string): Promise<T> {
  return (await checked(await fetch(path, { headers: headers() }))).json() as Promise<T>;
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, {
    method: "POST", headers: { ...headers(), "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
  });
  return (await checked(response)).json() as Promise<T>;
}

/** A file to keep: fetched with the token, then handed to the browser. */
export async function download(path: string, name: string): Promise<void> {
  const blob = await (await checked(await fetch(path, { headers: headers() }))).blob();
  keep(blob, name);
}

export function keep(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export interface News {
  scene(scene: Scene): void;
  change(change: Change): void;
  state(state: State): void;
  lesson(ticks: Record<string, boolean>): void;
}

const SLOWEST = 5000; // milliseconds between two attempts

const UNSEEN = 3000; // milliseconds that a stream outlives the last look at its page

/**
 * Follows the cluster while the page is looked at, and begins anew where the server went. A tab that is behind others
 * holds no stream, nor does a page that the browser keeps for the way back: a browser has at most six to one server.
 */
export function follow(news: News): void {
  let stream: AbortController | null = null;
  let leaving: ReturnType<typeof setTimeout> | undefined;
  const leave = () => {
    stream?.abort();
    stream = null;
  };
  const look = () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(leave, UNSEEN);
    else if (!stream) {
      stream = new AbortController();
      void following(news, stream.signal);
    }
  };
  addEventListener("pagehide", leave);
  addEventListener("pageshow", look);
  document.addEventListener("visibilitychange", look);
  look();
}

async function following(news: News, signal: AbortSignal): Promise<void> {
  for (let wait = 200; !signal.aborted; wait = Math.min(SLOWEST, wait * 2)) {
    let why = "the page's server ended the stream";
    try {
      const response = await checked(await fetch("api/scene", { headers: headers(), signal }));
      await events(response.body!, (name, data) => {
        wait = 200;
        if (name === "scene") news.scene(data as Scene);
        else if (name === "change") news.change(data as Change);
        else if (name === "state") news.state(data as State);
        else if (name === "lesson") news.lesson((data as { ticks: Record<string, boolean> }).ticks);
      });
    } catch (error) {
      why = error instanceof Refused
        ? error.status === 401 || error.status === 403
          ? `${error.message}: open the link that wellhead page printed`
          : error.message
        : "the page's server doesn't answer: is wellhead page still running?";
    }
    if (signal.aborted) return;
    news.state({ connected: false, why });
    await new Promise((done) => setTimeout(done, wait));
  }
}

/** Events of a stream, as they come. */
async function events(body: ReadableStream<Uint8Array>, event: (name: string, data: unknown) => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  const parts: string[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parts.push(value);
    if (!value.includes("\n")) continue; // a large one, of which there is more to come
    const text = parts.join("");
    const end = text.lastIndexOf("\n\n");
    parts.length = 0;
    if (end < 0) {
      parts.push(text);
      continue;
    }
    if (end + 2 < text.length) parts.push(text.slice(end + 2));
    for (const each of text.slice(0, end).split("\n\n")) {
      const name = /^event: (.*)$/m.exec(each)?.[1];
      const data = [...each.matchAll(/^data: (.*)$/gm)].map((found) => found[1]).join("\n");
      if (name && data) event(name, JSON.parse(data));
    }
  }
}
