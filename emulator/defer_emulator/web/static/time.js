// Keeps "2h ago" true, on the emulated clock, which may stand still or run ahead of this machine's.

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "m"],
  [1, "s"],
];

let shown = 0; // ms: the emulated time when the page was made
let since = 0; // ms on this page's own clock
let isRunning = true;

export function now() {
  return isRunning ? shown + performance.now() - since : shown;
}

export function ago(moment, at = now()) {
  const seconds = Math.round((moment - at) / 1000);
  if (Math.abs(moment - at) < 1000) return "now";
  const size = Math.abs(seconds);
  const [unit, letter] = UNITS.find(([unit]) => size >= unit) ?? [1, "s"];
  const span = `${Math.floor(size / unit)}${letter}`;
  return seconds > 0 ? `in ${span}` : `${span} ago`;
}

function read() {
  const clock = document.getElementById("clock");
  if (!clock) return;
  const at = Date.parse(clock.dataset.now);
  if (at !== shown) [shown, since] = [at, performance.now()];
  isRunning = clock.dataset.mode === "running";
  tick();
}

function tick() {
  const at = now();
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(time.dateTime), at);
    if (time.textContent !== text) time.textContent = text;
  }
  const face = document.querySelector("time[data-clock-long]");
  if (face) {
    const text = new Date(at).toISOString().slice(0, 19).replace("T", " ");
    if (face.textContent !== text) face.textContent = text;
  }
  const clock = document.querySelector("time[data-clock]");
  if (clock) {
    const text = new Date(at).toUTCString(); // Mon, 30 Nov 2026 11:18:04 GMT
    const [, weekday, day, month, hours] = /^(\w+), (\d+) (\w+) \d+ (\d+:\d+)/.exec(text) ?? [];
    const short = `${weekday} ${day} ${month} ${hours}`;
    if (weekday && clock.textContent !== short) clock.textContent = short;
  }
}

read();
setInterval(tick, 1000);
document.addEventListener("defer:refreshed", read);
