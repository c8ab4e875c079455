// An image goes to the server piece by piece: what is lost on the way is sent again from where it stands.
import { Refused, call, followed, said, size, spoken, token } from "./api.js";

const form = document.getElementById("upload");
const words = JSON.parse(form.dataset.words);
const byId = (id) => document.getElementById(id);
const button = form.querySelector("button.strong");
const TRIES = 8;
let upload = null; // what is under way

function show(text, percent = null) {
  byId("told").textContent = text;
  byId("progress").hidden = percent === null;
  if (percent !== null) byId("progress").value = percent;
}

const paused = (ms) => new Promise((go) => { setTimeout(go, ms); });

async function sent(piece) {
  const answer = await fetch(`/api/v1/uploads/${upload.id}?offset=${upload.received}`, {
    method: "PUT",
    headers: { "X-CSRFToken": token(), "Content-Type": "application/octet-stream" },
    body: piece,
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

async function allSent(file) {
  const mine = upload;
  for (let tries = 0; mine.received < mine.size_bytes && upload === mine;) {
    show(said(words.sending, { sent: size(mine.received), all: size(mine.size_bytes) }), 100 * mine.received / mine.size_bytes);
    try {
      Object.assign(mine, await sent(file.slice(mine.received, mine.received + mine.piece_bytes)));
      tries = 0;
    } catch (problem) {
      tries += 1;
      if (upload !== mine) return false;
      if (tries > TRIES || [401, 403, 404, 413].includes(problem.status)) throw problem;
      show(words.again);
      await paused(500 * 2 ** tries);
      // what is there is what counts; the server may not answer yet
      await call("GET", `/uploads/${mine.id}`).then((now) => Object.assign(mine, now)).catch(() => {});
    }
  }
  return upload === mine;
}

async function imported(wish) {
  show(words.importing, 0);
  let total = 1;
  const ended = await followed(await call("POST", "/templates", wish), (event) => {
    if (event.event === "began") total = event.total || 1;
    if (event.event === "advanced") show(words.importing, 100 * event.done / total);
  });
  const bad = spoken(ended.error, "says");
  if (bad) throw new Error([bad, spoken(ended.error, "hint")].filter(Boolean).join(" "));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = byId("image").files[0];
  if (!file) return;
  const wish = { template: byId("template").value, firmware: byId("firmware").value, new_version: form.new_version.checked };
  button.disabled = true;
  byId("cancel").hidden = false;
  try {
    // the same file may have come whole already, for an import that failed
    if (upload?.file !== file) upload = { ...await call("POST", "/uploads", { size_bytes: file.size }), file };
    if (await allSent(file)) {
      byId("cancel").hidden = true;
      await imported({ ...wish, upload: upload.id });
      upload = null;
      show(words.done);
      setTimeout(() => location.reload(), 1200);
    }
  } catch (problem) { show(problem.message); }
  button.disabled = false;
  byId("cancel").hidden = true;
});

byId("cancel").addEventListener("click", async () => {
  const gone = upload;
  upload = null;
  show(words.cancelled);
  if (gone) await call("DELETE", `/uploads/${gone.id}`).catch(() => {});
});

addEventListener("beforeunload", (event) => { if (button.disabled) event.preventDefault(); });
