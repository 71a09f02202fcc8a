// Comfort on the pages of executions: choose all of a page, see how many are chosen, copy a text.

function boxes() {
  return [...document.querySelectorAll("td.choose input")];
}

function count() {
  const all = boxes();
  const chosen = all.filter((box) => box.checked).length;
  const label = document.querySelector("[data-choose-all]");
  if (!label) return;
  label.hidden = false;
  const box = label.querySelector("input");
  box.checked = chosen > 0 && chosen === all.length;
  box.indeterminate = chosen > 0 && chosen < all.length;
  const text = chosen ? `${chosen} chosen` : "";
  const said = document.querySelector("[data-chosen]");
  if (said.textContent !== text) said.textContent = text;
}

document.addEventListener("change", (event) => {
  if (event.target.closest("[data-choose-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.closest("#executions")) count();
});

function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.firstChild;
  try {
    await navigator.clipboard.writeText(source.textContent);
    label.data = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // not allowed here: it is ready for Ctrl+C
    label.data = "Selected";
  }
  setTimeout(() => (label.data = "Copy"), 1500);
});

function prepare() {
  count();
  offerCopies();
}

prepare();
document.addEventListener("defer:refreshed", prepare);
