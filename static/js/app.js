// Small comforts on every page. Nothing here is needed: each page works without it.
"use strict";

// A message says its piece and goes; one that reports a failure stays until it is closed.
function dress(toast) {
  const close = toast.querySelector("[data-toast-close]");
  close.hidden = false;
  close.addEventListener("click", () => toast.remove());
  if (toast.matches(".toast--error, .toast--warning")) return;
  let timer = setTimeout(() => toast.remove(), 7000);
  toast.addEventListener("mouseenter", () => clearTimeout(timer));
  toast.addEventListener("mouseleave", () => {
    timer = setTimeout(() => toast.remove(), 3000);
  });
}
document.querySelectorAll("[data-toast]").forEach(dress);

// A second click sends nothing twice. The button comes back with the page (back button, error).
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const button = event.submitter ?? event.target.querySelector("[data-once]");
  if (!button?.matches("[data-once]")) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  button.setAttribute("aria-disabled", "true");
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once][aria-disabled]").forEach((b) => b.removeAttribute("aria-disabled"));
});

// A page nobody looks at asks nothing; it catches up with its next tick.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches("[data-poll]")) event.preventDefault();
});

// What a live fragment says in words goes to the screen reader, and only when it is news.
document.addEventListener("htmx:afterSwap", () => {
  const said = document.getElementById("announcer");
  const words = document.querySelector("[data-announce]")?.dataset.announce;
  if (said && words && said.textContent !== words) said.textContent = words;
});

// Copy a hash or a path. Browsers allow it only over HTTPS or on the machine itself.
document.documentElement.classList.toggle("can-copy", Boolean(navigator.clipboard));
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.textContent;
  button.textContent = button.dataset.copied ?? "Copied";
  setTimeout(() => (button.textContent = label), 1500);
});
