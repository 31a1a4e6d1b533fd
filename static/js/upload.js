// The upload form: drop a file, see its name and size, watch it go. Without this file the form is a
// plain file field.
"use strict";

// In the units of the server's own messages: 1 KB is 1024 bytes.
function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  return `${(bytes / 1024 ** power).toFixed(1)} ${["KB", "MB", "GB", "TB"][power - 1]}`;
}

function complain(form, sentence) {
  const place = form.querySelector("[data-drop-error]");
  place.replaceChildren();
  place.closest(".field").toggleAttribute("data-invalid", Boolean(sentence));
  if (!sentence) return;
  const line = document.createElement("p");
  line.className = "field__error";
  line.textContent = sentence;
  place.append(line);
}

function showChosen(form) {
  const file = form.querySelector("input[type=file]").files[0];
  const hint = form.querySelector("[data-drop-hint]");
  const name = form.querySelector("[data-drop-chosen]");
  hint.hidden = Boolean(file);
  name.hidden = !file;
  name.textContent = file ? `${file.name} · ${size(file.size)}` : "";
}

function chosen(form) {
  showChosen(form);
  const file = form.querySelector("input[type=file]").files[0];
  const limit = Number(form.dataset.limit);
  const tooLarge = file && file.size > limit;
  complain(form, tooLarge ? `The file has ${size(file.size)}; the limit is ${size(limit)}. Split it, and upload the parts.` : "");
}

function dress(form) {
  const drop = form.querySelector("[data-drop]");
  const input = form.querySelector("input[type=file]");
  drop.classList.add("drop--live");
  showChosen(form);
  // The server's own words about the last try stay until another file is chosen.
  input.addEventListener("change", () => chosen(form));
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
    chosen(form);
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
    loaded < total ? `${size(loaded)} of ${size(total)} sent, ${part} %` : "All of it is sent; the server is storing it.";
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
