// The wall: tiles are made once and changed in place, so nothing blinks; only those in view are drawn.
import { call, followed, said, size, spoken } from "./api.js";

const wall = document.getElementById("wall");
const words = JSON.parse(wall.dataset.words);
const classroom = wall.dataset.classroom;
const base = `/classrooms/${classroom}`;
const byId = (id) => document.getElementById(id);
const tiles = new Map(); // seat's number -> { element, parts, seat, busy, failed }
const named = (name) => [...tiles.values()].find((one) => one.seat?.seat === name); // adopted ones end in no number
const selected = new Set();
let anchor = null;
let last = null; // the result strip's job

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};

function tile(number) {
  const picture = element("img", { class: "screen", alt: "", loading: "lazy" });
  const off = element("div", { class: "off", "aria-hidden": "true" }, words.off);
  const who = element("span", { class: "who" });
  const sign = element("span", { class: "sign" });
  const amount = element("span", { class: "faint" });
  const bar = element("span");
  const note = element("div", { class: "reason faint" });
  const why = element("button", { tabindex: "-1", "aria-label": `${words.why} ${number}`, onclick: () => told(tiles.get(number)) }, words.why);
  why.hidden = true;
  const made = element("div",
    { class: "tile", role: "group", tabindex: "0", "data-selected": "false", "data-number": number,
      onclick: (event) => event.target.closest("a,button") || select(number, event),
      onkeydown: (event) => keyed(number, event) },
    picture, off,
    element("div", { class: "changed" }, bar),
    element("div", { class: "line" }, element("strong", {}, String(number)), who),
    element("div", { class: "state" }, sign, amount), note,
    element("div", { class: "acts" },
      element("a", { class: "button", href: `${base}/${number}/`, tabindex: "-1", "aria-label": `${words.console} ${number}` }, words.console),
      element("button", { tabindex: "-1", "aria-label": `${words.reset} ${number}`, onclick: () => resetAsked([number]) }, words.reset), why));
  picture.hidden = true;
  wall.append(made);
  seen.observe(made);
  return { element: made, parts: { picture, off, who, sign, amount, bar, note, why }, seat: null, visible: false };
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const one = tiles.get(Number(entry.target.dataset.number));
    if (one) { one.visible = entry.isIntersecting; if (one.visible) draw(one); }
  }
}, { rootMargin: "100px" });

function badge(one) {
  const seat = one.seat;
  if (one.busy) return ["…", one.busy, "is-busy"];
  if (one.failed) return ["✘", words.failed, "is-failed"];
  if (seat.outcome === "unknown") return ["✘", words.not_original, "is-failed"];
  if (seat.power === "off") return seat.verified ? ["✔", words.original, "is-original"] : ["○", `${words.off} · ${words.changed}`, "is-off"];
  if (seat.power === "running") return ["●", seat.verified ? words.original : words.running, seat.verified ? "is-original" : ""];
  if (seat.halt) return ["‖", words.paused, "is-failed"];
  return ["‖", words[seat.power] || seat.power, "is-busy"];
}

/** What a tile has room for in part only: why a machine is not original, or what somebody changed of it. */
const reason = (one) => one.busy ? "" : one.failed || spoken(one.seat, "reason") || "";

const told = (one) => sheet(said(words.machine, { n: one.seat.number }), [element("p", {}, reason(one))], words.dismiss);

function show(one) {
  const { parts, seat } = one;
  const [sign, text, kind] = badge(one);
  parts.sign.className = `sign ${kind}`;
  parts.sign.textContent = `${sign} ${text}`;
  parts.note.textContent = parts.note.title = reason(one);
  parts.why.hidden = !reason(one);
  parts.who.textContent = seat.student || "";
  parts.amount.textContent = seat.changed_bytes ? size(seat.changed_bytes) : "";
  parts.bar.style.width = `${Math.min(100, seat.changed_bytes ? 4 + 100 * seat.changed_bytes / seat.size_bytes : 0)}%`;
  const on = seat.power === "running" || seat.power === "paused";
  parts.picture.hidden = !on || !parts.picture.src;
  parts.off.hidden = !parts.picture.hidden;
  parts.off.textContent = on ? "" : words.off;
  one.element.setAttribute("aria-label", [said(words.machine, { n: seat.number }), seat.student, text, reason(one), selected.has(seat.number) ? words.chosen : ""].filter(Boolean).join(", "));
}

function draw(one) {
  const seat = one.seat;
  if (!seat || !one.visible || one.drawing || !["running", "paused"].includes(seat.power) || document.hidden) return;
  one.drawing = true;
  const fresh = new Image();
  fresh.onload = () => { one.drawing = false; one.parts.picture.src = fresh.src; show(one); };
  fresh.onerror = () => { one.drawing = false; };
  fresh.src = `/api/v1/classrooms/${classroom}/seats/${seat.number}/screenshot?${Date.now()}`;
}

async function look() {
  let room;
  try {
    room = await call("GET", base);
  } catch (problem) {
    byId("summary").textContent = problem.status ? problem.message : words.unreachable;
    return;
  }
  for (const seat of room.seats) {
    if (!tiles.has(seat.number)) tiles.set(seat.number, tile(seat.number));
    const one = tiles.get(seat.number);
    one.seat = seat;
    show(one);
  }
  const there = new Set(room.seats.map((seat) => seat.number));
  for (const [number, one] of tiles) if (!there.has(number)) { one.element.remove(); tiles.delete(number); selected.delete(number); }
  byId("empty").hidden = room.seats.length > 0;
  fitted();
  const on = room.seats.filter((seat) => seat.power !== "off").length;
  const original = room.seats.filter((seat) => seat.verified).length;
  byId("summary").textContent = said(words.summary, { n: on, of: room.seats.length, original })
    + (selected.size ? ` · ${said(words.selected, { n: selected.size })}` : "");
  const halted = room.seats.filter((seat) => seat.halt);
  byId("halted").hidden = !halted.length;
  const who = halted.map((seat) => `${seat.student || seat.number} (${spoken(seat, "reason")})`).join(", ");
  if (byId("halted").textContent !== said(words.halted, { who })) byId("halted").textContent = said(words.halted, { who });
  // a machine that is being started or reset stands still for a moment too
  const worked = (number) => room.jobs.some((job) => !job.numbers || job.numbers.includes(number));
  const frozen = room.seats.some((seat) => seat.power === "paused" && !seat.halt && !worked(seat.number));
  byId("freeze").setAttribute("aria-pressed", String(frozen));
  byId("freeze").textContent = frozen ? words.unfreeze : words.freeze;
  for (const job of room.jobs) if (!following.has(job.id)) follow(job);
}

/** As large as they can be and all of them seen, down to a size that a person can read. */
function fitted() {
  const room = Math.max(200, innerHeight - wall.getBoundingClientRect().top - scrollY - 16), gap = 10;
  let across = 1;
  const width = (n) => (wall.clientWidth - gap * (n - 1)) / n;
  const foot = [...tiles.values()].some((one) => one.seat && reason(one)) ? 104 : 66;
  const height = (n) => (width(n) * 10 / 16 + foot + gap) * Math.ceil(tiles.size / n);
  while (across < 12 && height(across) > room && width(across + 1) >= 118) across += 1;
  wall.style.setProperty("--tile", `${Math.floor(width(across))}px`);
}
addEventListener("resize", fitted);

// ---- selection

function select(number, event) {
  const order = [...tiles.keys()];
  if (event.shiftKey && anchor !== null) {
    const [from, to] = [order.indexOf(anchor), order.indexOf(number)].sort((a, b) => a - b);
    order.slice(from, to + 1).forEach((one) => selected.add(one));
  } else if (selected.has(number)) selected.delete(number);
  else { selected.add(number); anchor = number; }
  for (const [key, one] of tiles) one.element.setAttribute("data-selected", String(selected.has(key)));
  byId("reset").textContent = selected.size ? words.selection : words.class;
  look();
}

function keyed(number, event) {
  const list = [...tiles.values()].map((one) => one.element);
  const here = list.indexOf(event.currentTarget);
  const across = Math.max(1, Math.round(wall.clientWidth / event.currentTarget.offsetWidth));
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across };
  if (event.key in steps) { list[Math.max(0, Math.min(list.length - 1, here + steps[event.key]))].focus(); event.preventDefault(); }
  if (event.key === " " && event.target === event.currentTarget) { select(number, event); event.preventDefault(); }
  if (event.key === "Enter" && event.target === event.currentTarget) location.href = `${base}/${number}/`;
  if (event.key === "Escape") { selected.clear(); for (const one of tiles.values()) one.element.setAttribute("data-selected", "false"); byId("reset").textContent = words.class; }
}

const chosen = () => selected.size ? [...selected].sort((a, b) => a - b) : null;
const count = (numbers) => numbers ? numbers.length : tiles.size;
// one machine is called by its number: no language has "1 machines"
const titled = (act, numbers) => count(numbers) === 1
  ? said(words[`${act}_one`], { n: numbers?.[0] ?? [...tiles.keys()][0] }) : said(words[`${act}_title`], { n: count(numbers) });

// ---- acts

function sheet(title, body, yes) {
  byId("sheet-title").textContent = title;
  byId("sheet-body").replaceChildren(...body);
  byId("sheet-yes").textContent = yes;
  const dialog = byId("sheet");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function resetAsked(numbers) {
  const seats = numbers ? `?seats=${numbers.join(",")}` : "";
  let plan;
  try { plan = await call("GET", `${base}/plan${seats}`); } catch (problem) { strip(problem.message); return; }
  const who = (plan) => { const seat = named(plan.seat)?.seat; return seat?.student || String(seat?.number ?? plan.seat); };
  const on = plan.seats.filter((seat) => seat.steps.includes("stop")).map(who);
  const lately = plan.seats.filter((seat) => (named(seat.seat)?.seat.active_s_ago ?? Infinity) < 600).map(who);
  const reasons = [...new Set(plan.seats.map((seat) => spoken(seat, "no_undo")).filter(Boolean))];
  const those = (is) => plan.seats.filter(is).map(who);
  const changed = [
    [words.put_right, those((seat) => seat.redefined)],
    [words.ram_goes, those((seat) => seat.steps.includes("drop RAM"))],
    [words.kept, those((seat) => seat.kept && seat.outcome !== "unknown")],
    [words.left_alone, those((seat) => seat.outcome === "unknown")],
  ].filter(([, which]) => which.length).map(([text, which]) => said(text, { who: which.join(", ") }));
  const lines = [on.length ? said(words.on_now, { who: on.join(", ") }) : words.nobody_on,
    ...(lately.length ? [said(words.lately, { who: lately.join(", ") })] : []), ...changed,
    ...(reasons.length ? reasons.map((why) => said(words.no_undo, { why })) : [words.can_undo])];
  if (last?.result?.elapsed_s) lines.push(said(words.last_took, { s: last.result.elapsed_s.toFixed(1) }));
  if (await sheet(titled("reset", numbers), lines.map((line) => element("p", {}, line)), words.yes_reset)) verb("reset", numbers);
}

async function verb(name, numbers, more = {}) {
  try {
    follow(await call("POST", `${base}/verbs/${name}`, { seats: numbers ? numbers.join(",") : null, ...more }));
  } catch (problem) { strip(problem.message); }
}

const following = new Set();

async function follow(job) {
  following.add(job.id);
  const began = Date.now();
  let total = job.numbers?.length || tiles.size, settled = 0;
  for (const [number, one] of tiles) if (!job.numbers || job.numbers.includes(number)) { one.failed = ""; one.busy = job.use_case === "reset" ? words.resetting : words.busy; show(one); }
  const bar = element("progress", { max: total, value: 0, "aria-label": job.use_case });
  const text = element("span", {}, words.waiting);
  strip(text, bar);
  const ended = await followed(job, (event) => {
    if (event.event === "began") { total = event.total; bar.max = total; }
    if (event.event !== "settled") return;
    settled += 1;
    bar.value = settled;
    const left = Math.ceil((Date.now() - began) / settled * (total - settled) / 1000);
    text.textContent = said(words.progress, { n: settled, of: total }) + (left > 0 ? ` · ${said(words.left, { s: left })}` : "");
    const one = named(event.seat);
    if (!one) return;
    const well = ["done", "unchanged"].includes(event.outcome);
    one.busy = "";
    one.failed = well ? "" : spoken(event, "reason") || words.failed;
    if (well && event.verified && ["reset", "verify"].includes(job.use_case)) { one.seat.verified = true; one.seat.changed_bytes = 0; }
    show(one);
  });
  for (const one of tiles.values()) one.busy = "";
  last = ended;
  result(ended);
  look();
}

function result(job) {
  if (job.error) { strip(spoken(job.error, "says"), element("span", { class: "faint" }, spoken(job.error, "hint") || "")); return; }
  const seats = job.result.seats || [];
  const bad = seats.filter((seat) => !["done", "unchanged"].includes(seat.outcome));
  const numbers = bad.map((seat) => named(seat.seat)?.seat.number).filter(Boolean);
  const parts = [element("strong", {}, said(job.use_case === "reset" ? words.result_reset : words.result,
    { n: seats.length - bad.length, of: seats.length, s: job.result.elapsed_s.toFixed(1) }))];
  if (bad.length) {
    parts.push(element("span", { class: "is-failed" }, said(words.failed_some, { n: bad.length })),
      element("button", { onclick: () => sheet(words.why, bad.map((seat) => element("p", {}, `${seat.seat}: ${spoken(seat, "reason")}`)), words.dismiss) }, words.why),
      element("button", { onclick: () => verb(job.use_case, numbers) }, words.retry));
  }
  if (job.use_case === "reset") parts.push(element("button", { onclick: () => verb("undo", job.numbers) }, words.undo));
  strip(...parts, element("button", { class: "quiet", onclick: () => { byId("strip").hidden = true; } }, words.dismiss));
}

function strip(...parts) { const it = byId("strip"); it.replaceChildren(...parts); it.hidden = false; }

byId("reset").addEventListener("click", () => resetAsked(chosen()));
byId("start").addEventListener("click", () => verb("start", chosen()));
byId("stop").addEventListener("click", async () => {
  if (await sheet(titled("stop", chosen()), [], words.yes_stop)) verb("stop", chosen());
});
byId("freeze").addEventListener("click", async () => {
  if (byId("freeze").getAttribute("aria-pressed") === "true") { verb("unfreeze", chosen()); return; }
  const message = element("input", { id: "eyes-message", maxlength: "200" });
  const body = [element("label", { for: "eyes-message" }, words.eyes_message), message];
  if (await sheet(titled("eyes", chosen()), body, words.freeze)) verb("freeze", chosen(), { message: message.value });
});
byId("save").addEventListener("click", async () => {
  const name = element("input", { id: "checkpoint-name", maxlength: "24", pattern: "[a-z][a-z0-9\\-]*" });
  const body = [element("label", { for: "checkpoint-name" }, words.save_name), name];
  if (!await sheet(titled("save", chosen()), body, words.yes_save) || !name.value) return;
  try { follow(await call("POST", `${base}/checkpoints/${encodeURIComponent(name.value)}`, { seats: chosen()?.join(",") ?? null })); } catch (problem) { strip(problem.message); }
});

look();
setInterval(() => document.hidden || look(), 2000);
setInterval(() => { for (const one of tiles.values()) draw(one); }, 3000);
