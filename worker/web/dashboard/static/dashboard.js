// What htmx leaves to do: questions in a dialog, a word when the page is no longer live, and a button that copies.
// Every page works without any of it.
"use strict";

document.documentElement.classList.add("js");

const dialog = document.getElementById("dialog");
const offline = document.getElementById("offline");

// Nobody looks: nothing is asked for.
document.addEventListener("htmx:before:request", (event) => {
  const source = event.detail.ctx.sourceElement;
  if (document.hidden && ["live", "chart"].includes(source.id)) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.body.dispatchEvent(new CustomEvent("acted"));
});

document.addEventListener("htmx:after:swap", (event) => {
  // A target that the answer named is a selector, others are elements.
  const { target } = event.detail.ctx;
  const place = target.id ?? target.slice(1);
  if (place === "dialog" && !dialog.open) dialog.showModal();
  if (place === "notice" && dialog.open) dialog.close();
  if (place === "live") offline.hidden = true;
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx) offline.hidden = false;
});
document.addEventListener("htmx:response:error", (event) => {
  const { response, sourceElement } = event.detail.ctx;
  if (response.status >= 500 || sourceElement.id === "live") offline.hidden = false;
});

document.addEventListener("click", (event) => {
  const target = event.target;
  if (target.closest("[data-close]") && dialog.open) {
    event.preventDefault();
    dialog.close();
  }
  const button = target.closest("[data-copy]");
  if (button) copy(document.getElementById(button.dataset.copy), button);
});

async function copy(field, button) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Plain http has no clipboard for scripts; the old way still works there.
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
