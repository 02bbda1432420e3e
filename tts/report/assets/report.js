"use strict";
const COLORS = ["#3b74d1", "#d9792b", "#3a9d5d", "#b04fb5", "#c23b4a", "#1e9aa3", "#8a7a2a", "#6d6f78"];
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

/** An element: h("td", {class: "x", onclick: f}, child, "text"). Text is never parsed as markup. */
function h(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return node;
}
function s(name, props = {}, text = null) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(props)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  return node;
}

/* ---- text with mathematics ---- */
const MATH = /\$\$[\s\S]+?\$\$|\\\[[\s\S]+?\\\]|\\\([\s\S]+?\\\)|\$(?=[^\s$])[^$]*?[^\s\\$]\$(?!\d)|\\boxed\{/g;

function math(node, source, display) {
  const place = h("span");
  try {
    katex.render(source, place, { displayMode: display, throwOnError: true, trust: false, strict: "ignore" });
  } catch {
    place.textContent = source;
    place.className = "dim";
  }
  node.append(place);
}

function braced(text, open) {
  for (let i = open, depth = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i + 1;
  }
  return -1;
}

function rendered(text) {
  const node = h("div", { class: "text" });
  let at = 0;
  MATH.lastIndex = 0;
  for (let m; (m = MATH.exec(text)); ) {
    let part = m[0], end = MATH.lastIndex;
    if (part === "\\boxed{") {
      end = braced(text, end - 1);
      if (end < 0) break;
      part = text.slice(m.index, end);
    }
    node.append(text.slice(at, m.index));
    if (part.startsWith("\\boxed")) math(node, part, false);
    else if (part.startsWith("$$") || part.startsWith("\\[")) math(node, part.slice(2, -2), true);
    else if (part.startsWith("\\(")) math(node, part.slice(2, -2), false);
    else math(node, part.slice(1, -1), false);
    at = MATH.lastIndex = end;
  }
  node.append(text.slice(at));
  return node;
}

function inline(text) {
  const node = rendered(/^[^$]*\\[a-z]/.test(text) && !text.includes("$") ? `$${text}$` : text);
  node.className = "";
  return node;
}

/* ---- plots ---- */
const W = 580, H = 360, LEFT = 46, RIGHT = 12, TOP = 10, BOTTOM = 40;
const short = (x) => (Math.abs(x) >= 1e7 ? x.toExponential(1) : x >= 1000 ? x.toLocaleString("en", { maximumFractionDigits: 0 }) : +x.toPrecision(3) + "");

const brief = (x) => (x >= 1e5 ? x.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 }) : short(x));

function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((x) => x >= raw);
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9 * step; x += step) found.push(x);
  return found;
}

function plot(spec) {
  const box = h("div", { class: "plot" }), hidden = new Set();
  let log = spec.log;
  const draw = () => {
    box.replaceChildren();
    const lines = spec.lines.filter((_, i) => !hidden.has(i)), marks = lines.flatMap((l) => l.marks);
    const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
    const f = log ? Math.log2 : (x) => x;
    let [x0, x1] = marks.length ? [Math.min(...marks.map((m) => f(m.x))), Math.max(...marks.map((m) => f(m.x)))] : [0, 1];
    if (x1 - x0 < 1e-9) [x0, x1] = [x0 - 1, x1 + 1];
    const pad = 0.03 * (x1 - x0), least = Math.min(100, ...marks.map((m) => m.low)), most = Math.max(0, ...marks.map((m) => m.high));
    const y0 = spec.percent ? Math.max(0, Math.floor(least / 5) * 5) : 0;
    const y1 = spec.percent ? Math.max(y0 + 5, Math.min(100, Math.ceil(most / 5) * 5)) : 1.04 * most || 1;
    const X = (x) => LEFT + ((f(x) - x0 + pad) / (x1 - x0 + 2 * pad)) * (W - LEFT - RIGHT);
    const Y = (y) => TOP + ((y1 - y) / (y1 - y0)) * (H - TOP - BOTTOM);
    for (const y of ticks(y0, y1, 6)) {
      svg.append(s("line", { x1: LEFT, x2: W - RIGHT, y1: Y(y), y2: Y(y), class: "grid" }));
      svg.append(s("text", { x: LEFT - 6, y: Y(y) + 4, "text-anchor": "end" }, spec.percent ? `${+y.toFixed(1)}` : brief(y)));
    }
    const at = log ? ticks(x0, x1, 7).filter((t) => x1 - x0 < 2 || Number.isInteger(t)).map((t) => 2 ** t) : ticks(x0, x1, 7);
    for (const x of at) svg.append(s("text", { x: X(x), y: H - BOTTOM + 16, "text-anchor": "middle" }, short(x)));
    svg.append(s("text", { x: (W + LEFT) / 2, y: H - 6, "text-anchor": "middle" }, spec.x + (log ? " (log)" : "")));
    svg.append(s("text", { x: 12, y: H / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${H / 2})` }, spec.percent ? `${spec.y}, %` : spec.y));
    if (spec.diagonal)
      svg.append(s("path", { d: `M${X(Math.max(2 * x0 - x1, y0))},${Y(Math.max(2 * x0 - x1, y0))}L${X(y1)},${Y(y1)}`, stroke: "gray", "stroke-dasharray": "2 4" }));
    const tip = h("div", { class: "tip", hidden: true });
    spec.lines.forEach((line, i) => {
      if (hidden.has(i)) return;
      const color = COLORS[i % COLORS.length], ms = line.by_front ? line.marks.filter((m) => m.front) : line.marks;
      const path = (get, back) => (back ? [...ms].reverse() : ms).map((m) => `${X(m.x)},${Y(get(m))}`).join("L");
      if (ms.length > 1) {
        svg.append(s("path", { d: `M${path((m) => m.high)}L${path((m) => m.low, true)}Z`, fill: color, opacity: 0.13 }));
        svg.append(s("path", { d: `M${path((m) => m.y)}`, fill: "none", stroke: color, "stroke-width": 1.8, "stroke-dasharray": line.dashed ? "5 4" : "none" }));
      }
      for (const m of line.marks) {
        if (ms.length === 1 || !ms.includes(m)) svg.append(s("path", { d: `M${X(m.x)},${Y(m.low)}V${Y(m.high)}`, stroke: color }));
        if (m.front) svg.append(s("circle", { cx: X(m.x), cy: Y(m.y), r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.3 }));
        const dot = s("circle", { cx: X(m.x), cy: Y(m.y), r: 4, fill: color });
        const hit = s("circle", { cx: X(m.x), cy: Y(m.y), r: 11, fill: "transparent" });
        hit.addEventListener("pointerenter", () => {
          tip.textContent = `${line.name}\n${m.label}: ${spec.percent ? `${m.y.toFixed(1)} % [${m.low.toFixed(1)}, ${m.high.toFixed(1)}]` : `${short(m.y)} ${spec.y}`}\n${short(m.x)} ${spec.x}${m.front ? "\non the Pareto front" : ""}`;
          tip.hidden = false;
          const right = X(m.x) > W / 2, scale = svg.clientWidth / W || 1;
          tip.style.cssText = `top:${Y(m.y) * scale + 12}px;${right ? "right" : "left"}:${(right ? W - X(m.x) : X(m.x)) * scale}px`;
        });
        hit.addEventListener("pointerleave", () => (tip.hidden = true));
        svg.append(dot, hit);
      }
    });
    const legend = h("div", { class: "legend" }, spec.lines.map((line, i) =>
      h("span", { class: hidden.has(i) ? "off" : "", title: "show or hide", onclick: () => (hidden.has(i) ? hidden.delete(i) : hidden.add(i), draw()) },
        h("b", { style: `color:${COLORS[i % COLORS.length]}` }, line.dashed ? "┅ " : "● "), line.name)));
    if (spec.lines.some((l) => l.marks.some((m) => m.front))) legend.append(h("span", { class: "dim" }, "◯ Pareto front"));
    if (spec.lines.every((l) => l.marks.every((m) => m.x > 0)))
      legend.append(h("button", { onclick: () => ((log = !log), draw()) }, log ? "linear" : "log"));
    box.append(svg, tip, legend);
  };
  draw();
  return box;
}

/* ---- sections ---- */
function table(spec) {
  return h("div", { class: "scroll" }, spec.title ? h("h3", {}, spec.title) : null,
    h("table", {}, h("thead", {}, h("tr", {}, spec.columns.map((c) => h("th", {}, c)))),
      h("tbody", {}, spec.rows.map((row) => h("tr", {}, row.map((c) => h("td", {}, c === null ? "" : `${c}`)))))));
}

function section(spec, i) {
  $("links").append(h("a", { href: `#s${i}` }, spec.title));
  const plots = spec.plots.filter((p) => p.lines.length);
  return h("section", { id: `s${i}` }, h("h2", {}, spec.title), h("div", { class: "plots" }, plots.map(plot)),
    spec.tables.map(table), spec.notes.map((n) => h("p", { class: "note" }, n)));
}

/* ---- the table of problems ---- */
const COLUMNS = [["id", "id"], ["correct", "right"], ["answer", "answer"], ["target", "target"], ["pass1", "pass@1"],
  ["share", "agree"], ["truncated", "cut"], ["tokens", "tokens"], ["level", "level"], ["status", "status"], ["question", "question"]];
const PAGE = 200;
let rows = [], shown = PAGE, order = null, current = -1;

const verdict = (c) => (c === null ? h("span", { class: "dim" }, "unscored") : c ? h("span", { class: "yes" }, "✓") : h("span", { class: "no" }, "✗"));
const percent = (x) => (x === null ? "" : `${Math.round(100 * x)} %`);

function problems() {
  const run = data.runs[+$("run").value], query = $("query").value.toLowerCase();
  const [low, high] = $("solved").value.split("-").map(Number);
  rows = run.problems.filter((p) =>
    (!$("wrong").checked || p.correct === false) && (!$("cut").checked || p.truncated > 0) &&
    (!$("split").checked || (p.share !== null && p.share <= 0.5)) &&
    (!$("level").value || `${p.level}` === $("level").value) &&
    (!$("solved").value || (p.pass1 !== null && p.pass1 >= low && p.pass1 <= high)) &&
    (!query || `${p.id} ${p.question} ${p.answer} ${p.target}`.toLowerCase().includes(query)));
  if (order) {
    const [key, sign] = order;
    rows.sort((a, b) => sign * ((a[key] ?? "") > (b[key] ?? "") ? 1 : (a[key] ?? "") < (b[key] ?? "") ? -1 : 0));
  }
  $("count").textContent = `${rows.length} of ${run.problems.length}`;
  const body = $("problems").querySelector("tbody");
  body.replaceChildren(...rows.slice(0, shown).map((p, i) => h("tr", { onclick: () => (location.hash = `r${$("run").value}/${p.at}`) },
    COLUMNS.map(([key]) => h("td", {}, key === "correct" ? verdict(p.correct) : key === "pass1" || key === "share" ? percent(p[key])
      : p[key] === null ? "" : `${p[key]}`)))));
  $("more").hidden = rows.length <= shown;
}

function levels() {
  const found = [...new Set(data.runs[+$("run").value].problems.map((p) => p.level).filter((l) => l !== null))];
  found.sort((a, b) => (a > b ? 1 : -1));
  $("level").replaceChildren(h("option", { value: "" }, "any level"), ...found.map((l) => h("option", { value: l }, `level ${l}`)));
  $("level").hidden = !found.length;
}

/* ---- the reader ---- */
/** What tts/report/packing.py has packed: seven bits a character, deflated; from 128 on a byte begins a word's number. */
async function unpack(id) {
  const text = $(id).textContent, bytes = new Uint8Array(Math.floor((text.length * 7) / 8));
  for (let i = 0, at = 0, held = 0, bits = 0; i < text.length; i++) {
    bits = (bits << 7) | (text.charCodeAt(i) & 127);
    held += 7;
    if (held >= 8) bytes[at++] = (bits >> (held -= 8)) & 255;
    bits &= (1 << held) - 1;
  }
  const packed = new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  let json = "";
  for (let i = 0; i < packed.length; i++) {
    const c = packed[i];
    json += c < 128 ? String.fromCharCode(c) : c < 228 ? data.words[c - 128] : data.words[100 + (c - 228) * 256 + packed[++i]];
  }
  return JSON.parse(json);
}

const shade = (x) => (x === null || x === undefined ? "" : `background:hsl(${120 * Math.min(1, Math.max(0, x))} 60% 70%)`);
const number = (x) => (typeof x === "number" ? +x.toPrecision(4) : x);
function scoreTags(scores) {
  return Object.entries(scores || {}).map(([name, value]) => h("span", {}, ` ${name} `,
    [value].flat().map((x) => h("span", { class: "score", style: typeof x === "number" && x >= 0 && x <= 1 ? shade(x) : "background:var(--line)" }, `${number(x)}`))));
}

function lazy(title, fill, open = false) {
  const box = h("details", { open }, h("summary", {}, title));
  const once = () => box.open && box.children.length === 1 && box.append(...[fill()].flat());
  box.addEventListener("toggle", once);
  once();
  return box;
}

function votes(record) {
  const groups = new Map();
  for (const c of record.solution.candidates) {
    const g = groups.get(c.class) || groups.set(c.class, { answer: c.answer, count: 0, correct: c.correct, sums: {} }).get(c.class);
    g.count++;
    for (const [name, x] of Object.entries(c.scores || {})) if (typeof x === "number") g.sums[name] = (g.sums[name] || 0) + x;
  }
  const sorted = [...groups].sort((a, b) => b[1].count - a[1].count), most = sorted.length ? sorted[0][1].count : 1;
  return sorted.map(([id, g]) => h("div", { class: "vote" }, id < 0 ? h("span", { class: "dim" }, "no answer") : inline(g.answer ?? ""),
    h("i", { class: id < 0 || g.correct === null ? "" : g.correct ? "yes" : "no", style: `width:${(100 * g.count) / most}%` }),
    h("span", {}, `${g.count}`, Object.entries(g.sums).map(([n, x]) => h("span", { class: "dim" }, `  Σ ${n} ${number(x)}`)))));
}

function sample(c, i, open) {
  const title = [h("b", {}, `sample ${i} `), verdict(c.correct), " ", c.answer === null ? h("span", { class: "dim" }, "no answer") : c.answer,
    h("span", { class: "dim" }, `  ${c.finish}, ${c.generated_tokens} tokens${c.logprob_mean === null ? "" : `, logprob ${number(c.logprob_mean)}`}`), scoreTags(c.scores)];
  return lazy(h("span", {}, title), () => ($("raw").checked ? h("div", { class: "text" }, c.text) : rendered(c.text)), open);
}

const gone = (n) => typeof n.pruned === "number" || n.pruned === true;
function tree(nodes) {
  const under = new Map(), ids = new Set(nodes.map((n) => n.id));
  for (const n of nodes) {
    const parent = ids.has(n.parent) ? n.parent : null;
    under.set(parent, [...(under.get(parent) || []), n]);
  }
  const grow = (parent) => h("ul", {}, (under.get(parent) || []).map((n) => {
    const line = h("div", { class: "node" }, n.score === null || n.score === undefined ? null : h("span", { class: "score", style: shade(n.score) }, `${number(n.score)}`),
      h("span", { class: "dim" }, `${n.tokens ?? "?"} tokens${n.finish ? `, ${n.finish}` : ""}${gone(n) ? ", pruned" : ""} `), (n.text || "").trim());
    line.addEventListener("click", () => line.classList.toggle("open"));
    return h("li", { class: gone(n) ? "pruned" : "" }, line, under.has(n.id) ? grow(n.id) : null);
  }));
  return h("div", { class: "tree" }, grow(null));
}

/** Contexts over a problem's chains of rounds: up as a round is written, down as the next begins with its summary. */
function sawtooth(rounds) {
  const chains = new Map();
  for (const r of rounds) {
    const c = chains.get(r.chain) || chains.set(r.chain, { at: 0, marks: [] }).get(r.chain);
    c.marks.push({ x: c.at, y: r.prompt_tokens, low: r.prompt_tokens, high: r.prompt_tokens, label: `round ${r.round} begins` });
    c.at += r.tokens;
    c.marks.push({ x: c.at, y: r.context, low: r.context, high: r.context, label: `round ${r.round} ends: ${r.finish}` });
  }
  const lines = [...chains].map(([chain, c]) => ({ name: `chain ${chain}`, marks: c.marks }));
  return plot({ x: "tokens generated so far", y: "context, tokens", lines, log: false, percent: false });
}

const ASIDE = ["round", "prompt_tokens", "summary_tokens", "queue_seconds", "malformed"], TEXTS = ["text", "summary"];
function round(r, i) {
  const long = Object.entries(r).filter(([k, v]) => typeof v === "string" && v && (TEXTS.includes(k) || v.length > 80));
  const plain = Object.entries(r).filter(([k, v]) => v !== null && v !== "" && typeof v !== "object" && !ASIDE.includes(k) && !long.some(([l]) => l === k));
  const other = Object.entries(r).filter(([, v]) => v !== null && typeof v === "object");
  return lazy(h("span", {}, h("b", {}, `round ${r.round ?? i} `), h("span", { class: "dim" }, plain.map(([k, v]) => `${k} ${number(v)}`).join(", "))),
    () => [...long.map(([k, v]) => h("div", {}, h("h3", {}, k), rendered(v))), ...other.map(([k, v]) => h("div", {}, h("h3", {}, k), h("div", { class: "text" }, JSON.stringify(v, null, 1))))]);
}

async function read(run, at) {
  const record = await unpack(`b${run}-${at}`), solution = record.solution, p = data.runs[run].problems[at];
  current = rows.findIndex((row) => row.at === at);
  const reader = $("reader"), candidates = solution.candidates;
  const raw = h("input", { type: "checkbox", id: "raw", onchange: () => read(run, at), checked: $("raw") && $("raw").checked });
  reader.replaceChildren(
    h("div", { class: "bar" }, h("b", {}, `${p.id}${record.attempt ? ` #${record.attempt}` : ""}`), h("label", {}, raw, " as written"),
      h("button", { onclick: () => move(-1) }, "‹ previous"), h("button", { onclick: () => move(1) }, "next ›"), h("button", { onclick: close }, "close")));
  reader.append(
    rendered(record.question), record.context ? lazy("context", () => rendered(record.context)) : "",
    h("p", {}, verdict(record.grade.correct), " answer ", h("b", {}, solution.answer ?? "none"), ", target ", h("b", {}, record.grade.target ?? "none"),
      h("span", { class: "dim" }, `  ${record.status}, ${record.grade.status}, ${record.usage.generated_tokens} tokens in ${record.usage.calls ?? "?"} calls`)),
    record.error ? h("p", { class: "no" }, record.error) : "",
    h("h3", {}, "votes"), ...votes(record),
    ...(solution.rounds && solution.rounds.length ? [h("h3", {}, "rounds"), solution.rounds.every((r) => typeof r.context === "number") ? sawtooth(solution.rounds) : "", ...solution.rounds.map(round)] : []),
    ...(solution.tree && solution.tree.length ? [h("h3", {}, "tree (click a step to read it)"), tree(solution.tree)] : []),
    h("h3", {}, `samples (${candidates.length}${record.left_out ? `; ${record.left_out} more are left out of this page` : ""})`),
    ...candidates.map((c, i) => sample(c, i, i === 0)));
  reader.hidden = false;
  reader.scrollTop = 0;
}
function close() { $("reader").hidden = true; history.replaceState(null, "", location.pathname + location.search); }
function move(step) {
  const next = rows[current + step];
  if (next) location.hash = `r${$("run").value}/${next.at}`;
}
async function route() {
  const m = /^#r(\d+)\/(\d+)$/.exec(location.hash);
  if (!m || !$(`b${m[1]}-${m[2]}`)) return;
  if ($("run").value !== m[1]) { $("run").value = m[1]; levels(); problems(); }
  await read(+m[1], +m[2]);
}

/* ---- begin ---- */
data.sections.forEach((spec, i) => $("sections").append(section(spec, i)));
data.runs.forEach((run, i) => $("run").append(h("option", { value: i }, run.name)));
$("problems").querySelector("thead").append(h("tr", {}, COLUMNS.map(([key, name]) => h("th", { title: "sort", onclick: () => {
  order = order && order[0] === key ? [key, -order[1]] : [key, 1];
  problems();
} }, name))));
const options = new URLSearchParams(location.search);
for (const id of ["wrong", "cut", "split"]) $(id).checked = options.has(id);
for (const id of ["wrong", "cut", "split", "level", "solved", "query"]) $(id).addEventListener("input", () => { shown = PAGE; problems(); });
$("run").addEventListener("input", () => { shown = PAGE; levels(); problems(); });
$("more").addEventListener("click", () => { shown += PAGE; problems(); });
levels();
problems();
addEventListener("hashchange", route);
addEventListener("keydown", (e) => {
  if ($("reader").hidden || /INPUT|SELECT/.test(e.target.tagName)) return;
  if (e.key === "Escape") close();
  if (e.key === "j" || e.key === "ArrowRight") move(1);
  if (e.key === "k" || e.key === "ArrowLeft") move(-1);
});
route().then(() => (document.documentElement.dataset.ready = Math.round(performance.now())));
