"use strict";
const report = JSON.parse(document.getElementById("report").textContent);
const $ = id => document.getElementById(id);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (tag, text, cls) => {
  const node = document.createElement(tag);
  if (text !== undefined && text !== null) node.textContent = text;
  if (cls) node.className = cls;
  return node;
};
const isNumber = x => typeof x === "number" && isFinite(x);
const fixed = (x, digits) => isNumber(x) ? x.toFixed(digits) : "–";
const signed = x => isNumber(x) ? (x >= 0 ? "+" : "−") + Math.abs(x).toFixed(3) : "–";
const range = ci => isNumber(ci[0]) ? `${fixed(ci[0], 3)} to ${fixed(ci[1], 3)}` : "–";
const signedRange = ci => isNumber(ci[0]) ? `${signed(ci[0])} to ${signed(ci[1])}` : "–";
const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
const count = x => isNumber(x) ? Math.round(x).toLocaleString("en-US") : "–";
const methods = report.methods;
const group = m => m.kind === "shuffled" ? "control" : (m.kind === "meta" || m.kind === "hybrid") ? "meta" : m.kind === "samples" ? "samples" : "base";
const groupName = {base: "fixed workflow for every query", samples: "answers that a file holds", meta: "workflow written for the query", control: "control: workflow of another query"};

function table(id, header, rows) {
  const node = $(id);
  const head = node.createTHead().insertRow();
  header.forEach((h, i) => head.append(make("th", h, rows.length && rows[0][i] instanceof Node && rows[0][i].classList.contains("left") ? "left" : "")));
  const body = node.createTBody();
  rows.forEach(cells => {
    const row = body.insertRow();
    cells.forEach(cell => row.append(cell instanceof Node ? cell : make("td", cell)));
  });
}

function fillText() {
  const s = report.summary || {};
  const parts = [];
  if (isNumber(s.tasks)) parts.push(plural(s.tasks, "task"));
  if (s.samples_per_task) parts.push(`${plural(s.samples_per_task, "sample")} per task and method`);
  if (s.date) parts.push(s.date);
  $("lead").textContent = parts.join("  ·  ");
  const origin = [];
  if (s.worker) origin.push(`Worker: ${s.worker}.`);
  if ((s.teachers || []).length) origin.push(`The meta-agents learnt from workflows by: ${s.teachers.join("; ")}.`);
  $("origin").textContent = origin.join(" ");
  if (s.title) { $("title").textContent = s.title; document.title = "Weft: " + s.title; }
  $("score-note").textContent = s.score_meaning || "";
  const groups = [...new Set(methods.map(group))];
  groups.forEach(g => {
    const item = make("span");
    const box = make("i");
    box.style.background = `var(--${g})`;
    item.append(box, groupName[g]);
    $("legend").append(item);
  });
  (report.notes || []).forEach(n => $("notes").append(make("li", n)));
  $("settings").textContent = JSON.stringify(report.settings || {}, null, 2);
}

function fillMethods() {
  const any = key => methods.some(m => isNumber(m[key]) && m[key] !== 0);
  const best = Math.max(...methods.map(m => isNumber(m.score) ? m.score : -1));
  const columns = [
    ["method", m => make("td", m.name, "name")],
    ["score", m => make("td", fixed(m.score, 3), methods.length > 1 && m.score === best ? "best" : "")],
    ["95 % interval", m => range(m.ci95)],
    ["kind", m => make("td", m.ci_method, "soft")],
    ["tasks", m => count(m.n)],
    ["pass rate", m => fixed(m.pass_rate, 3)],
    ["tokens / query", m => count(m.tokens_mean)],
    ["worker calls", m => fixed(m.calls_mean, 1)],
  ];
  if (any("usd_mean")) columns.push(["USD / query", m => fixed(m.usd_mean, 4)]);
  columns.push(["valid", m => isNumber(m.valid) ? (100 * m.valid).toFixed(0) + " %" : "–"]);
  if (any("distinct_overall")) {
    columns.push(["distinct / query", m => isNumber(m.distinct_per_query) ? fixed(m.distinct_per_query, 2) : "–"]);
    columns.push(["distinct in all", m => isNumber(m.distinct_overall) ? count(m.distinct_overall) : "–"]);
  }
  if (any("invalid")) columns.push(["invalid", m => count(m.invalid)]);
  columns.push(["workflow errors", m => count(m.workflow_errors)], ["infra errors", m => count(m.infra_errors)]);
  table("methods", columns.map(c => c[0]), methods.map(m => columns.map(c => c[1](m))));
}

function fillHeadlines() {
  const list = report.headlines || [];
  $("headlines").hidden = !list.length;
  const tone = {higher: "good", lower: "bad"};
  const rival = h => h.among.length > 1 ? `${h.against}, the strongest of ${h.among.length}` : h.against;
  table("headline-table", ["method", "against", "class", "difference", "95 % interval", "tasks", "tokens", "reading"],
    list.map(h => [make("td", h.method, "name"), make("td", rival(h), "left"), make("td", h.class_words, "left soft"), signed(h.diff),
      signedRange(h.ci95), count(h.n), isNumber(h.tokens_ratio) ? `${fixed(h.tokens_ratio, 1)} ×` : "–", make("td", h.reading, "tag " + (tone[h.reading] || ""))]));
}

function fillPassAtK() {
  const ks = ["1", "10", "100"];
  const list = methods.filter(m => m.kind === "samples" || Object.keys(m.pass_at_k || {}).length > 1);
  $("pass-at-k").hidden = !list.length;
  const cell = e => e ? `${fixed(e.score, 3)} (${range(e.ci95)})` : "–";
  table("pass-table", ["method", ...ks.map(k => "pass@" + k)],
    list.map(m => [make("td", m.name, "name"), ...ks.map(k => cell((m.pass_at_k || {})[k]))]));
}

function fillCost() {
  const latency = (m, key) => count((m.latency_ms || {})[key]);
  $("cost").hidden = !methods.some(m => isNumber(m.worker_tokens_mean));
  const money = methods.some(m => m.usd_mean > 0);
  table("cost-table", ["method", "worker tokens", "meta-agent tokens", "calls", ...(money ? ["USD"] : []), "median ms", "95th percentile ms"],
    methods.map(m => [make("td", m.name, "name"), count(m.worker_tokens_mean), count(m.meta_tokens_mean), fixed(m.calls_mean, 1),
      ...(money ? [fixed(m.usd_mean, 6)] : []), latency(m, "median"), latency(m, "p95")]));
}

function fillFailures() {
  const rows = methods.flatMap(m => Object.entries(m.errors || {}).flatMap(([kind, reasons]) => Object.entries(reasons).map(([reason, n]) =>
    [make("td", m.name, "name"), make("td", kind.replace("_", " "), "left soft"), make("td", reason, "left"), count(n)])));
  $("failures").hidden = !rows.length;
  table("failure-table", ["method", "kind", "reason", "runs"], rows);
}

function effectOf(pair) {
  const effect = pair.effect || {};
  if ("cohens_dz" in effect) return isNumber(effect.cohens_dz) ? `d_z ${signed(effect.cohens_dz)}` : "–";
  if (!isNumber(effect.cohens_g)) return "–";
  return `g ${signed(effect.cohens_g)}, odds ${fixed(effect.odds_ratio, 2)}`;
}

function fillPairs() {
  const list = report.pairs || [];
  $("pairs-section").hidden = !list.length;
  const test = p => p.mcnemar || {};
  const small = p => isNumber(p) ? (p < 0.001 ? "< 0.001" : p.toFixed(3)) : "–";
  table("pair-table", ["a", "b", "a − b", "95 % interval", "kind", "tasks", "a is", "only a", "only b", "p", "effect", "detectable"],
    list.map(p => [p.a, make("td", p.b, "left"), signed(p.diff), signedRange(p.ci95), make("td", p.ci_method, "soft"), count(p.n), make("td", p.reading, "soft"),
      count(test(p).only_a), count(test(p).only_b), small(test(p).p), effectOf(p), fixed(p.detectable, 3)]));
  methods.forEach(m => $("reference").append(new Option(m.name, m.name)));
  const preferred = methods.filter(m => m.kind === "meta").pop() || methods[0];
  if (preferred) $("reference").value = preferred.name;
}

function fillContamination() {
  const found = report.contamination;
  $("contamination").hidden = !found;
  if (!found) return;
  $("contamination-note").textContent = found.length
    ? `${plural(found.length, "task")} found in the training texts. Scores with and without them:`
    : "No task was found in the training texts.";
  $("contamination").querySelector("details").hidden = !found.length;
  if (!found.length) return;
  const clean = m => m.uncontaminated || {ci95: []};
  table("clean-table", ["method", "score", "without", "95 % interval", "tasks"],
    methods.map(m => [make("td", m.name, "name"), fixed(m.score, 3), fixed(clean(m).score, 3), range(clean(m).ci95), count(clean(m).n)]));
  table("contamination-table", ["task", "n-grams", "share", "most of them in"],
    found.map(f => [f.task, count(f.ngrams), fixed(f.share, 2), make("td", `${f.source}:${f.line}`, "left soft")]));
}

function heat(value, title) {
  const td = make("td");
  if (!isNumber(value)) return td;
  const box = make("span", fixed(value, 2), "cell");
  box.style.background = `color-mix(in srgb, var(--meta) ${Math.round(8 + 34 * value)}%, transparent)`;
  if (title) box.title = title;
  td.append(box);
  return td;
}

function fillCategories() {
  const list = report.categories || [];
  $("categories").hidden = !list.length;
  [...new Set(list.map(c => c.by))].forEach(by => $("category-by").append(new Option(by, by)));
  const show = () => {
    $("category-table").replaceChildren();
    table("category-table", [$("category-by").value, "tasks", ...methods.map(m => m.name)],
      list.filter(c => c.by === $("category-by").value).map(c => [c.name, count(c.tasks),
        ...methods.map(m => { const s = c.methods[m.name] || {}; return heat(s.score, s.ci95 ? `${s.n} tasks, ${range(s.ci95)}` : ""); })]));
  };
  $("category-by").addEventListener("change", show);
  if (list.length) show();
}

const kMostTaskRows = 400;

function taskMatches(id) {
  const scores = methods.map(m => report.tasks[id][m.name]);
  const known = scores.filter(isNumber);
  const facts = (report.task_facts || {})[id] || {};
  const [by, name] = JSON.parse($("task-category").value || "[]");
  const result = $("task-result").value;
  return id.toLowerCase().includes($("task-text").value.toLowerCase()) && (!by || facts[by] === name) &&
    (!result || (result === "differ" && new Set(known).size > 1) || (result === "none" && known.length && known.every(x => x === 0)) ||
      (result === "all" && known.length && known.every(x => x === 1)) || (result === "missing" && known.length < scores.length));
}

function showTasks() {
  const facts = report.task_facts || {};
  const ids = Object.keys(report.tasks || {}), found = ids.filter(taskMatches);
  $("task-count").textContent = `${found.length} of ${plural(ids.length, "task")}` +
    (found.length > kMostTaskRows ? `, the first ${kMostTaskRows} shown` : "");
  const name = id => {
    const td = make("td"), page = (facts[id] || {}).page;
    if (!page) { td.textContent = id; return td; }
    const link = make("a", id);
    link.href = page;
    td.append(link);
    return td;
  };
  $("tasks").replaceChildren();
  table("tasks", ["task", ...methods.map(m => m.name)],
    found.slice(0, kMostTaskRows).map(id => [name(id), ...methods.map(m => heat(report.tasks[id][m.name]))]));
}

function fillTasks() {
  $("task-category").append(new Option("every category", ""));
  ["dataset", "kind", "family"].forEach(by => {
    const names = [...new Set(Object.values(report.task_facts || {}).map(f => f[by]).filter(Boolean))];
    if (names.length > 1) names.forEach(n => $("task-category").append(new Option(`${by}: ${n}`, JSON.stringify([by, n]))));
  });
  ["task-text", "task-category", "task-result"].forEach(id => $(id).addEventListener("input", showTasks));
  showTasks();
}

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  if (text !== undefined) node.textContent = text;
  return node;
}

/// Round values of a logarithmic axis that holds [low, high].
function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    [1, 2, 5].forEach(step => ticks.push(step * 10 ** power));
  }
  return ticks.filter(t => t >= low * 0.999 && t <= high * 1.001);
}

function fillFront() {
  const front = report.front || {methods: []};
  const points = methods.filter(m => isNumber(m.score) && isNumber(m[front.cost]) && m[front.cost] > 0);
  if (points.length < 2) return;
  const money = front.cost === "usd_mean";
  $("front-note").textContent = `Score against cost. Line: the Pareto front, methods that no other beats in both. ` +
    `Cost: ${money ? "USD" : "tokens of worker and meta-agent"} a query, on a logarithmic scale; bars: 95 % intervals of the score.`;
  const width = 980, height = 340, left = 52, right = 24, top = 14, bottom = 46;
  const costs = points.map(m => m[front.cost]);
  const low = Math.min(...costs) / 1.4, high = Math.max(...costs) * 1.4;
  const ends = points.flatMap(m => [m.score, ...m.ci95]).filter(isNumber);
  const floor = Math.max(0, Math.floor(Math.min(...ends) * 10) / 10), roof = Math.min(1, Math.ceil(Math.max(...ends) * 10 + 0.01) / 10);
  const x = cost => left + (width - left - right) * Math.log(cost / low) / Math.log(high / low);
  const y = score => height - bottom - (height - top - bottom) * (score - floor) / (roof - floor);
  const plot = svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Score against cost with the Pareto front"});
  for (let tick = floor; tick <= roof + 1e-9; tick += 0.1) {
    plot.append(svg("line", {x1: left, x2: width - right, y1: y(tick), y2: y(tick), stroke: "var(--line)"}),
      svg("text", {x: left - 8, y: y(tick) + 4, "text-anchor": "end"}, tick.toFixed(1)));
  }
  logTicks(low, high).forEach(tick => plot.append(
    svg("line", {x1: x(tick), x2: x(tick), y1: height - bottom, y2: height - bottom + 5, stroke: "var(--soft)"}),
    svg("text", {x: x(tick), y: height - bottom + 19, "text-anchor": "middle"}, money ? String(Number(tick.toPrecision(2))) : count(tick))));
  plot.append(svg("text", {x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle"}, money ? "USD a query" : "tokens a query"));
  const line = front.methods.map(name => points.find(m => m.name === name)).filter(Boolean);
  if (line.length > 1) {
    const path = line.map((m, i) => i ? `H${x(m[front.cost])}V${y(m.score)}` : `M${x(m[front.cost])} ${y(m.score)}`).join("");
    plot.append(svg("path", {d: path, fill: "none", stroke: "var(--accent)", "stroke-width": 1.6, "stroke-dasharray": "5 4"}));
  }
  const taken = points.map(m => ({left: x(m[front.cost]) - 7, right: x(m[front.cost]) + 7, y: y(m.score) + 4}));
  const names = [];
  [...points].sort((a, b) => y(a.score) - y(b.score)).forEach(m => {
    const cx = x(m[front.cost]), cy = y(m.score);
    if (isNumber(m.ci95[0])) plot.append(svg("line", {x1: cx, x2: cx, y1: y(m.ci95[0]), y2: y(m.ci95[1]), stroke: `var(--${group(m)})`, "stroke-width": 1.4, opacity: 0.7}));
    plot.append(svg("circle", {cx, cy, r: 5.5, fill: `var(--${group(m)})`}));
    const wide = 7.2 * m.name.length;
    const places = [0, -13, 13, -26, 26, -39, 39].flatMap(shift => [[1, shift], [-1, shift]]).map(([side, shift]) => ({
      side, left: side > 0 ? cx + 12 : cx - 12 - wide, right: side > 0 ? cx + 12 + wide : cx - 12, y: cy + 4 + shift}));
    const free = p => p.left > left && p.right < width - right && p.y < height - bottom &&
      !taken.some(o => o.left < p.right && o.right > p.left && Math.abs(o.y - p.y) < 13);
    const place = places.find(free) || places[0];
    taken.push(place);
    names.push(svg("text", {x: cx + 12 * place.side, y: place.y, "text-anchor": place.side > 0 ? "start" : "end", class: "label"}, m.name));
  });
  plot.append(...names);
  $("front").append(plot);
}

function highlight(code) {
  const pre = make("pre");
  const pattern = /(#[^\n]*)|("""[\s\S]*?"""|'''[\s\S]*?'''|f?"(?:\\.|[^"\\\n])*"|f?'(?:\\.|[^'\\\n])*')|\b(async|await|def|class|return|for|in|if|else|elif|while|import|from|and|or|not|None|True|False|break|continue|lambda)\b/g;
  let last = 0;
  for (const m of code.matchAll(pattern)) {
    pre.append(code.slice(last, m.index), make("span", m[0], m[1] ? "tok" : m[2] ? "tok-s" : "tok-k"));
    last = m.index + m[0].length;
  }
  pre.append(code.slice(last));
  return pre;
}

function fillExamples() {
  const list = report.examples || [];
  if (!list.length) return;
  $("examples").hidden = false;
  $("examples-title").textContent = `Workflows: ${list[0].before.method} and ${list[0].after.method}`;
  $("examples-note").textContent = report.examples_note || "";
  list.forEach(e => {
    const box = make("div", null, "example");
    box.append(make("h3", e.task), make("div", e.prompt, "query soft"));
    const pair = make("div", null, "pair");
    [e.before, e.after].forEach(side => {
      const half = make("div");
      const title = make("h3", side.method);
      title.append(make("span", side.valid ? `score ${fixed(side.score, 2)}` : "not valid", "tag " + (side.valid && side.score > 0.5 ? "good" : "bad")));
      half.append(title);
      if (side.reasoning) { const d = make("details"); d.append(make("summary", "reasoning"), make("div", side.reasoning, "query soft")); half.append(d); }
      if (side.error) half.append(make("div", side.error, "why"));
      if (side.workflow) half.append(highlight(side.workflow));
      else if (!side.error) half.append(make("div", "no workflow was written", "why"));
      pair.append(half);
    });
    box.append(pair);
    $("example-list").append(box);
  });
}

const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(chart) {
    const {ctx, scales: {x}} = chart;
    chart.data.datasets.forEach((set, i) => {
      if (!set.ci) return;
      ctx.save();
      ctx.strokeStyle = css("--ink");
      ctx.lineWidth = 1.4;
      chart.getDatasetMeta(i).data.forEach((bar, k) => {
        const ci = set.ci[k];
        if (!ci || !isNumber(ci[0])) return;
        const low = x.getPixelForValue(ci[0]), high = x.getPixelForValue(ci[1]);
        ctx.beginPath();
        ctx.moveTo(low, bar.y); ctx.lineTo(high, bar.y);
        [low, high].forEach(at => { ctx.moveTo(at, bar.y - 4); ctx.lineTo(at, bar.y + 4); });
        ctx.stroke();
      });
      ctx.restore();
    });
  }
};

let charts = [];
function axis(extra) {
  return Object.assign({grid: {color: css("--line"), drawBorder: false}, ticks: {color: css("--soft")}}, extra);
}

function draw(canvas, config) {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12.5;
  Chart.defaults.color = css("--soft");
  config.options = Object.assign({responsive: true, maintainAspectRatio: false, animation: false}, config.options);
  charts.push(new Chart(canvas, config));
}

function drawBars() {
  const empty = !methods.some(m => isNumber(m.score));
  $("no-scores").hidden = !empty;
  $("bars-box").hidden = empty;
  if (empty) return;
  $("bars-box").style.height = `${44 + 34 * methods.length}px`;
  const top = Math.max(...methods.map(m => isNumber(m.ci95[1]) ? m.ci95[1] : 0), 0.1);
  draw($("bars"), {
    type: "bar", plugins: [whiskers],
    data: {labels: methods.map(m => m.name), datasets: [{
      data: methods.map(m => m.score), ci: methods.map(m => m.ci95),
      backgroundColor: methods.map(m => css("--" + group(m))), barThickness: 16, borderRadius: 3}]},
    options: {indexAxis: "y",
      plugins: {legend: {display: false}, tooltip: {callbacks: {label: c => `${fixed(methods[c.dataIndex].score, 3)}  (${range(methods[c.dataIndex].ci95)})`}}},
      scales: {x: axis({min: 0, max: Math.min(1, Math.ceil(top * 10) / 10)}), y: axis({grid: {display: false, drawBorder: false}, ticks: {color: css("--ink")}})}}
  });
}

function drawPairs() {
  if ($("pairs-section").hidden) return;
  const reference = $("reference").value;
  const rows = [];
  (report.pairs || []).forEach(p => {
    if (!isNumber(p.diff)) return;
    if (p.a === reference) rows.push({name: p.b, diff: p.diff, ci: p.ci95});
    if (p.b === reference) rows.push({name: p.a, diff: -p.diff, ci: isNumber(p.ci95[0]) ? [-p.ci95[1], -p.ci95[0]] : p.ci95});
  });
  $("no-pairs").hidden = rows.length > 0;
  $("pairs-box").hidden = !rows.length;
  if (!rows.length) return;
  rows.sort((a, b) => methods.findIndex(m => m.name === a.name) - methods.findIndex(m => m.name === b.name));
  $("pairs-box").style.height = `${48 + 28 * rows.length}px`;
  const ends = rows.flatMap(r => r.ci).filter(isNumber);
  const low = Math.floor(Math.min(-0.05, ...ends) * 20 - 0.2) / 20, high = Math.ceil(Math.max(0.05, ...ends) * 20 + 0.2) / 20;
  draw($("pairs"), {
    type: "scatter", plugins: [whiskers],
    data: {datasets: [{data: rows.map((r, i) => ({x: r.diff, y: i})), ci: rows.map(r => r.ci), pointRadius: 5, pointHoverRadius: 5,
      pointBackgroundColor: rows.map(r => isNumber(r.ci[0]) && r.ci[0] > 0 ? css("--good") : isNumber(r.ci[1]) && r.ci[1] < 0 ? css("--bad") : css("--base")), pointBorderWidth: 0}]},
    options: {
      plugins: {legend: {display: false}, tooltip: {callbacks: {label: c => `${reference} − ${rows[c.dataIndex].name}: ${signed(rows[c.dataIndex].diff)}  (${signedRange(rows[c.dataIndex].ci)})`}}},
      scales: {
        x: axis({min: low, max: high, grid: {color: c => c.tick && c.tick.value === 0 ? css("--soft") : css("--line"), drawBorder: false},
          ticks: {color: css("--soft"), callback: v => Math.abs(v) < 1e-9 ? "0" : signed(v).replace(/0$/, "").replace(/0$/, "")}}),
        y: axis({min: -0.6, max: rows.length - 0.4, reverse: true, grid: {display: false, drawBorder: false},
          afterBuildTicks: a => { a.ticks = rows.map((r, i) => ({value: i})); },
          ticks: {color: css("--ink"), autoSkip: false, callback: v => rows[v] ? rows[v].name : ""}})}}
  });
}

function smooth(points, key) {
  const width = Math.max(1, Math.round(points.length / 15));
  return points.map((p, i) => {
    const part = points.slice(Math.max(0, i - width), i + width + 1).map(q => q[key]).filter(isNumber);
    return {x: p.step, y: part.reduce((a, b) => a + b, 0) / part.length};
  });
}

function drawCurve(curve, key, label) {
  const points = curve.points.filter(p => isNumber(p[key]));
  if (!points.length) return;
  const box = make("div"), plot = make("div", null, "plot"), canvas = make("canvas");
  box.append(make("h3", `${curve.name}: ${label}`), plot);
  plot.style.height = "220px";
  plot.append(canvas);
  $("curve-grid").append(box);
  const colour = css("--meta");
  draw(canvas, {type: "line", data: {datasets: [
      {data: smooth(points, key), borderColor: colour, borderWidth: 2.2, pointRadius: 0, tension: 0.25},
      {data: points.map(p => ({x: p.step, y: p[key]})), borderColor: css("--base"), borderWidth: 1, pointRadius: points.length < 3 ? 2 : 0}]},
    options: {plugins: {legend: {display: false}, tooltip: {mode: "index", intersect: false}},
      scales: {x: axis({type: "linear", title: {display: true, text: "step", color: css("--soft")}, ticks: {color: css("--soft"), precision: 0}}), y: axis({})}}});
}

function drawAll() {
  charts.forEach(c => c.destroy());
  charts = [];
  $("curve-grid").replaceChildren();
  drawBars();
  drawPairs();
  const curves = report.curves || [];
  $("curves").hidden = !curves.length;
  curves.forEach(c => {
    const reinforced = c.points.some(p => isNumber(p.reward_mean));
    drawCurve(c, reinforced ? "reward_mean" : "loss", reinforced ? "mean reward" : "loss");
  });
}

fillText();
fillMethods();
fillHeadlines();
fillCost();
fillPassAtK();
fillFailures();
fillPairs();
fillFront();
fillCategories();
fillContamination();
fillTasks();
fillExamples();
drawAll();
$("reference").addEventListener("change", drawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
