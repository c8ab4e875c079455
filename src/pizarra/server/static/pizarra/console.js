// One machine fills the page: noVNC over our relay; a connection that is lost comes back by itself.
import RFB from "../vendor/novnc/core/rfb.js";
import { call, followed, said, spoken } from "./api.js";

const screen = document.getElementById("screen");
const told = document.getElementById("told");
const words = JSON.parse(screen.dataset.words);
const { classroom, number } = screen.dataset;
const seat = `/classrooms/${classroom}/seats/${number}`;
const byId = (id) => document.getElementById(id);
let rfb = null;
let waits = 500;
let keepUntil = 0; // what an act came to stays for a while; the connection says less important things

function say(text, keepMs = 0) {
  if (!keepMs && Date.now() < keepUntil) return;
  keepUntil = Date.now() + keepMs;
  told.textContent = text;
}

async function connect() {
  say(words.connecting);
  let ticket;
  try {
    ticket = await call("POST", `${seat}/console`);
  } catch (problem) {
    say(problem.status === 403 ? words.forbidden : problem.message);
    if (problem.status !== 403) again();
    return;
  }
  rfb = new RFB(screen, `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${ticket.path}`, { wsProtocols: ["binary"] });
  rfb.scaleViewport = true;
  rfb.background = "#0d0f11";
  rfb.addEventListener("connect", () => { say(""); waits = 500; rfb.focus(); screen.dataset.connected = "yes"; });
  rfb.addEventListener("disconnect", () => { delete screen.dataset.connected; say(words.again); again(); });
}

function again() { setTimeout(connect, waits); waits = Math.min(waits * 2, 8000); }

async function act(name, now) {
  say(now, 60000);
  try {
    const ended = await followed(await call("POST", `${seat}/${name}`));
    const bad = spoken(ended.error, "says")
      || spoken((ended.result?.seats || []).find((one) => !["done", "unchanged"].includes(one.outcome)), "reason");
    say(bad ? said(words.failed, { why: bad }) : words.done, 6000);
  } catch (problem) { say(problem.message, 6000); }
}

byId("cad").addEventListener("click", () => { rfb?.sendCtrlAltDel(); rfb?.focus(); });
byId("full").addEventListener("click", () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
const KEYSYMS = { "\n": 0xff0d, "\t": 0xff09 };
function typed(text) {
  for (const letter of text) {
    const code = letter.codePointAt(0);
    rfb?.sendKey(KEYSYMS[letter] ?? (code < 256 ? code : 0x01000000 + code), null);
  }
}
byId("paste").addEventListener("click", () => { typed(prompt(words.paste) || ""); rfb?.focus(); });

// Where a finger is the pointer there may be no keyboard: a field that nobody sees makes the system
// show its own. What a keyboard of such a system says is how the field's text changes.
const field = byId("typed");
const FILL = "_".repeat(100); // so that there is always something to delete
let before = (field.value = FILL);
byId("keys").hidden = !matchMedia("(any-pointer: coarse)").matches;
byId("keys").addEventListener("click", () => document.activeElement === field ? field.blur() : field.focus());
field.addEventListener("input", () => {
  const [old, now] = [[...before], [...field.value]];
  let same = 0;
  while (same < Math.min(old.length, now.length) && old[same] === now[same]) same += 1;
  for (let n = same; n < old.length; n += 1) rfb?.sendKey(0xff08, "Backspace");
  typed(now.slice(same).join(""));
  before = field.value;
  if (!before || before.length > 300) before = field.value = FILL;
});
byId("restart")?.addEventListener("click", () => act("restart", words.starting));
byId("reset")?.addEventListener("click", () => confirm(words.reset_ask) && act("reset", words.resetting));

const keep = byId("keep");
const kept = byId("kept");

async function keptShown() {
  if (!kept) return [];
  const found = await call("GET", `${seat}/checkpoints`);
  const shown = found.map((one) => new Option(new Date(one.saved * 1000).toLocaleString(), one.checkpoint));
  kept.replaceChildren(new Option(words.go_back, ""), ...shown);
  kept.hidden = !found.length;
  return found;
}

keep?.addEventListener("click", async () => {
  try {
    const found = await keptShown();
    if (found.length >= Number(keep.dataset.quota)) {
      if (!found.length || !confirm(words.replace)) return;
      await followed(await call("DELETE", `${seat}/checkpoints/${found[0].checkpoint}`));
    }
  } catch (problem) { say(problem.message, 6000); return; }
  await act("checkpoints", words.keeping);
  setTimeout(keptShown, 1500); // the agent's last look may be a second old
});
kept?.addEventListener("change", async () => {
  const name = kept.value;
  kept.value = "";
  if (name && confirm(words.back_ask)) await act(`checkpoints/${name}/restore`, words.going_back);
});
keptShown().catch(() => {});

/** What the teacher says to all, and how long the lesson still is. */
async function look() {
  let now;
  try { now = await call("GET", seat); } catch { return; }
  const why = spoken(now, "reason"); // the host paused the machine
  const shown = why ? said(words.halted, { why }) : now.message;
  byId("eyes").textContent = shown;
  byId("eyes").hidden = !shown;
  const n = now.ends_at ? Math.ceil((new Date(now.ends_at) - Date.now()) / 60000) : null;
  byId("left").textContent = n === null ? "" : n > 0 ? said(words.minutes, { n }) : words.over;
}

look();
setInterval(() => document.hidden || look(), 4000);
connect();
