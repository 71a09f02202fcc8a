// Keeps the page up to date. The server says that something has changed; the page is fetched anew, and its
// parts marked `data-live` (each has an id) take over what differs. Others listen to "defer:refreshed".
import { morph } from "./morph.js";

const LEAST = 700; // ms between two refreshes
const AGAIN = 2000; // ms until the next try, where the stream was refused
const MOST = 5000; // ms
const SHARE = 12; // a page that takes long to make is fetched so much more rarely

const button = document.getElementById("live");
let source = null;
let greeted = false;
let wanted = false;
let timer = null;
let rest = LEAST;
let stopped = sessionStorage.getItem("live") === "off";

export async function refresh() {
  const begun = performance.now();
  const response = await fetch(location.href, { headers: { Accept: "text/html", "Defer-Live": "1" } });
  if (response.status === 401) return location.reload();
  if (!response.ok) return;
  takeOver(new DOMParser().parseFromString(await response.text(), "text/html"));
  rest = Math.min(MOST, Math.max(LEAST, (performance.now() - begun) * SHARE));
}

export function takeOver(fresh, selector = "[data-live]") {
  for (const part of document.querySelectorAll(selector)) {
    if (part.parentElement.closest(selector)) continue;
    const other = fresh.getElementById(part.id);
    if (other) morph(part, other);
  }
  // A notice is told once: it stays until the next act.
  const notices = fresh.getElementById("notices");
  if (notices?.firstElementChild) document.getElementById("notices").replaceChildren(...notices.children);
  const secret = fresh.querySelector("input[name=csrf]");
  if (secret) for (const input of document.querySelectorAll("input[name=csrf]")) input.value = secret.value;
  document.dispatchEvent(new CustomEvent("defer:refreshed"));
}

function want() {
  wanted = true;
  if (timer === null) run();
}

async function run() {
  wanted = false;
  timer = 0;
  try {
    await refresh();
  } catch {
    // The stream notices that the emulator has gone.
  }
  timer = setTimeout(() => {
    timer = null;
    if (wanted) run();
  }, rest);
}

function listen() {
  if (source || stopped || document.hidden) return;
  source = new EventSource("/live");
  source.addEventListener("hello", (event) => {
    if (greeted || event.data !== button.dataset.stateShown) want(); // what happened while nobody listened
    greeted = true;
    document.querySelector("#notices [data-lost]")?.remove();
    show("live");
  });
  source.addEventListener("changed", want);
  source.addEventListener("error", () => {
    show("lost");
    if (source?.readyState === EventSource.CLOSED) setTimeout(tryAgain, AGAIN);
  });
}

// A browser comes back by itself after a break, but not after a refusal: another emulator, which wants a token.
function tryAgain() {
  leave();
  refresh().catch(() => {}); // who has to log in is asked to
  listen();
}

function leave() {
  source?.close();
  source = null;
}

function show(state) {
  if (!button) return;
  const words = { live: "live", lost: "not connected", off: "paused" };
  button.hidden = false;
  button.dataset.state = state;
  button.firstElementChild.textContent = words[state];
  button.setAttribute("aria-label", `Live updates: ${words[state]}`);
  button.setAttribute("aria-pressed", String(state !== "off"));
  button.title = state === "off" ? "Follow changes" : "Stop following changes";
}

button?.addEventListener("click", () => {
  stopped = !stopped;
  sessionStorage.setItem("live", stopped ? "off" : "on");
  if (stopped) {
    leave();
    show("off");
  } else {
    greeted = true;
    listen();
  }
});

// A browser keeps few connections to a host: a tab that nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", (event) => event.persisted && listen());

if (button) {
  show(stopped ? "off" : "lost");
  if (!stopped) button.firstElementChild.textContent = "connecting";
  listen();
}
