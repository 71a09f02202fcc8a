// What every page loads. All of it is comfort: pages and forms work without.
import "./actions.js";
import "./live.js";
import "./time.js";

// On a narrow screen the navigation scrolls: where one is, is to be seen.
document.querySelector(".rail nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// "/" goes to the first field of the filters.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  const field = document.querySelector(".filters input, .filters select");
  if (!field) return;
  event.preventDefault();
  field.focus();
});
