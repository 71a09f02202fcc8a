// Forms marked `data-action` are sent without leaving the page. The server answers where to go next: when that
// is this page, it is refreshed; when the form was wrong, its page comes back with what is wrong.
import { refresh, takeOver } from "./live.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-action]")) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  if (button?.getAttribute("aria-busy") === "true") return;
  button?.setAttribute("aria-busy", "true");
  try {
    await send(form, button);
  } catch {
    say("The emulator does not answer: is defer dev still running?");
  } finally {
    button?.removeAttribute("aria-busy");
  }
});

async function send(form, button) {
  document.getElementById("notices")?.replaceChildren();
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.append(button.name, button.value);
  const response = await fetch(button?.hasAttribute("formaction") ? button.formAction : form.action, {
    method: "POST",
    body,
    headers: { Accept: "text/html", "Defer-Action": "1" },
  });
  if (response.headers.get("Content-Type")?.startsWith("application/json")) {
    const target = new URL((await response.json()).location, location.href);
    if (target.pathname + target.search !== location.pathname + location.search) {
      location.assign(target);
      return;
    }
    form.closest("details.confirm")?.removeAttribute("open");
    await refresh();
    scrollToNotice();
    return;
  }
  if (response.status === 401) return location.reload(); // the login has ended
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  takeOver(page, "#main");
  const wrong = document.querySelector(".has-error :is(input, textarea, select)");
  wrong ? wrong.focus() : document.getElementById("main").focus();
}

function say(text) {
  const notice = document.createElement("div");
  notice.className = "notice failed";
  notice.textContent = text;
  notice.dataset.lost = ""; // until it is connected again
  document.getElementById("notices").replaceChildren(notice);
  scrollToNotice();
}

function scrollToNotice() {
  const notice = document.querySelector("#notices .notice");
  if (notice && notice.getBoundingClientRect().top < 0) notice.scrollIntoView({ block: "center" });
}

// Only one question is open at a time; Escape and a click beside it close it.
document.addEventListener("click", (event) => close(event.target.closest("details.confirm")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = event.target.closest?.("details.confirm[open]");
  close(null);
  open?.querySelector("summary").focus();
});

function close(except) {
  for (const open of document.querySelectorAll("details.confirm[open]")) if (open !== except) open.open = false;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-form]")) return;
  event.preventDefault();
  const theme = event.submitter.value;
  const body = new URLSearchParams(new FormData(form));
  body.set("theme", theme);
  fetch(form.action, { method: "POST", body, headers: { "Defer-Action": "1" } });
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", button.value === theme);
});
