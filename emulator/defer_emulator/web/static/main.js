// What every page loads. All of it is comfort: pages and forms work without.
import "./actions.js";
import "./executions.js";
import "./live.js";
import "./time.js";

// On a narrow screen the navigation scrolls: where one is, is to be seen. (`scrollIntoView` would let the first
// Tab begin there.)
const here = document.querySelector(".rail nav [aria-current]");
if (here) {
  const nav = here.closest("nav");
  const [inner, outer] = [here.getBoundingClientRect(), nav.getBoundingClientRect()];
  nav.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}

// "/" goes to the first field of the filters.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  const field = document.querySelector(".filters input, .filters select");
  if (!field) return;
  event.preventDefault();
  field.focus();
});
