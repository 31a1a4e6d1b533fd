// The upload form: drop a file, see its name and size, watch it go. Without this file the form is a
// plain file field.
"use strict";

const megabytes = (n) =>
  n < 1e6 ? `${Math.max(1, Math.round(n / 1e3))} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;

function complain(form, sentence) {
  const place = form.querySelector("[data-drop-error]");
  place.replaceChildren();
  if (!sentence) return;
  const line = document.createElement("p");
  line.className = "field__error";
  line.textContent = sentence;
  place.append(line);
}

function showChosen(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const hint = form.querySelector("[data-drop-hint]");
  const chosen = form.querySelector("[data-drop-chosen]");
  hint.hidden = Boolean(file);
  chosen.hidden = !file;
  chosen.textContent = file ? `${file.name} · ${megabytes(file.size)}` : "";
  const limit = Number(form.dataset.limit);
  complain(form, file && file.size > limit ? `The file has ${megabytes(file.size)}; the limit is ${megabytes(limit)}. Split it, and upload the parts.` : "");
  return file;
}

function dress(form) {
  const drop = form.querySelector("[data-drop]");
  const input = form.querySelector("input[type=file]");
  drop.classList.add("drop--live");
  showChosen(form);
  // The server's own words about the last try stay until another file is chosen.
  input.addEventListener("change", () => showChosen(form));
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("drop--over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("drop--over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    showChosen(form);
  });
  form.querySelector("[data-upload-stop]").addEventListener("click", () => htmx.trigger(form, "htmx:abort"));
}

function sending(form, on) {
  form.querySelector("[data-upload-progress]").hidden = !on;
  form.querySelector("[data-upload-stop]").hidden = !on;
  form.querySelector("[data-upload-leave]").hidden = on;
  const button = form.querySelector("[data-once]");
  if (on) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

function progress(form, loaded, total) {
  const part = Math.floor((100 * loaded) / total);
  form.querySelector("progress").value = part;
  form.querySelector("[data-upload-words]").textContent =
    loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} sent, ${part} %` : "All of it is sent; the server is storing it.";
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt;
  if (!form.matches("[data-upload]")) return;
  const file = form.querySelector("input[type=file]").files[0];
  const tooLarge = file && file.size > Number(form.dataset.limit);
  if (tooLarge || form.querySelector("[data-once]").getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  sending(form, true);
});
document.addEventListener("htmx:xhr:progress", (event) => {
  const { lengthComputable, loaded, total } = event.detail;
  if (lengthComputable && event.target.matches("[data-upload]")) progress(event.target, loaded, total);
});
for (const [name, sentence] of [
  ["htmx:sendError", "The connection broke off. Nothing was stored; send it again."],
  ["htmx:sendAbort", "Stopped. Nothing was stored."],
  ["htmx:responseError", "The server could not take the file. Load the page again, and send it once more."],
]) {
  document.addEventListener(name, (event) => {
    const form = event.target.closest("[data-upload]");
    if (!form) return;
    sending(form, false);
    complain(form, sentence);
  });
}
document.addEventListener("htmx:load", (event) => {
  const form = event.target.matches("[data-upload]") ? event.target : event.target.querySelector("[data-upload]");
  if (form) dress(form);
});
