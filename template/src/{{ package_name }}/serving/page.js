"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const SVG = ["svg", "path", "rect", "circle", "text", "polyline", "polygon", "g", "title"];
let turn = 0, running = null, timer = 0, place = -1, chosen = null, own = null;

function $(id) { return document.getElementById(id); }

function make(tag, attributes = {}, ...children) {
  const made = SVG.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function short(number, digits = 4) {
  return typeof number === "number" ? String(Number(number.toPrecision(digits))) : String(number);
}

function percent(share) { return `${(100 * share).toFixed(1)} %`; }

function complain(line) {
  $("problem").textContent = line.replace(/\s+/g, " ").slice(0, 300);
  $("found").hidden = true;
  $("empty").hidden = true;
}

// One plain line for whatever the service refuses.
function reason(response, body) {
  const wait = response.headers.get("Retry-After"), again = wait ? `Try again in ${wait} s.` : "Try again in a moment.";
  const said = body && body.error;
  if (response.status === 401) {
    $("key-field").hidden = false;
    return $("key").value ? "The service does not know this API key." : "The service wants an API key: fill it in, and ask again.";
  }
  if (response.status === 429) return `Too many questions in a short time. ${again}`;
  if (response.status === 503) return `The service is busy. ${again}`;
  if (response.status === 504) return `The answer took too long. ${again}`;
  return said ? `Refused: ${said}` : `The service answered with status ${response.status}.`;
}

// What is not yet complete is a fault only where somebody asked for an answer.
function incomplete(line, wanted) {
  complain(wanted ? line : "");
  $("empty").hidden = wanted;
  $("note").textContent = wanted ? "" : line;
}

async function send(wanted = false) {
  clearTimeout(timer);
  let row, response = null, body = null;
  try { row = own.row(); } catch (error) { return incomplete(error.message, wanted); }
  const mine = ++turn, started = performance.now(), headers = { "Content-Type": "application/json" };
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  if (running) running.abort();
  running = new AbortController();
  $("found").setAttribute("aria-busy", "true");
  if (!own.soon) $("note").textContent = "Waiting for the answer …";
  const question = { method: "POST", headers, body: JSON.stringify({ rows: [row] }), signal: running.signal };
  try {
    response = await fetch("predict", question);
    body = await response.json();
  } catch { /* nobody answered, or not with JSON: judged below */ }
  if (mine !== turn) return;  // somebody asked something else in the meantime
  $("found").removeAttribute("aria-busy");
  $("note").textContent = chosen || "";
  const record = body && body.answers && body.answers[0];
  if (!response) complain("The service does not answer. Does it still run, and is the network there?");
  else if (!response.ok) complain(reason(response, body));
  else if (!record) complain("The service sent no answer that this page can read.");
  else if (record.error) complain(`Not answered: ${record.error}`);
  else settle(row, body, performance.now() - started);
}

function settle(row, body, milliseconds) {
  const record = body.answers[0], sure = [];
  if (typeof record.confidence === "number") sure.push(`${percent(record.confidence)} sure`);
  if (typeof record.uncertainty === "number") sure.push(`uncertainty ${short(record.uncertainty, 3)}`);
  if (record.uncertain) sure.push("less than this service wants");
  $("problem").textContent = "";
  $("answer").textContent = typeof record.answer === "object" ? "" : short(record.answer, 5);
  $("sure").textContent = sure.join(", ");
  if (body.version) $("version").textContent = body.version;
  $("time").textContent = `Answered in ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms.`;
  $("sent").textContent = `${JSON.stringify({ rows: [row] })}\n\n${JSON.stringify(record, null, 1)}`;
  $("empty").hidden = true;
  $("found").hidden = false;
  own.show(record, row);
}

// What was asked is now another question: the note of an example no longer holds; ask where answers are quick.
function changed(delay = 400) {
  chosen = null;
  $("note").textContent = "";
  clearTimeout(timer);
  if (own.soon) timer = setTimeout(send, delay);
}

function nextExample() {
  const example = page.examples[place = (place + 1) % page.examples.length];
  own.fill(example.row, example);
  chosen = `Example ${place + 1} of ${page.examples.length}, from the validation split${example.note ? `: ${example.note}` : "."}`;
  $("note").textContent = chosen;
  if (own.soon) send();
}

function start(part) {
  own = part;
  $("ask").addEventListener("submit", (event) => { event.preventDefault(); send(true); });
  $("ask").addEventListener("input", (event) => { if (event.target.id !== "key") changed(); });
  if ($("example")) $("example").addEventListener("click", nextExample);
}
