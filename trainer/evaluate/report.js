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
  table("cost-table", ["method", "worker tokens", "meta-agent tokens", "calls", "USD", "median ms", "95th percentile ms"],
    methods.map(m => [make("td", m.name, "name"), count(m.worker_tokens_mean), count(m.meta_tokens_mean), fixed(m.calls_mean, 1),
      fixed(m.usd_mean, 6), latency(m, "median"), latency(m, "p95")]));
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

function fillTasks() {
  const ids = Object.keys(report.tasks || {});
  $("task-details").querySelector("summary").textContent = plural(ids.length, "task");
  const cell = value => {
    const td = make("td");
    if (isNumber(value)) {
      const box = make("span", fixed(value, 2), "cell");
      box.style.background = `color-mix(in srgb, var(--meta) ${Math.round(8 + 34 * value)}%, transparent)`;
      td.append(box);
    }
    return td;
  };
  table("tasks", ["task", ...methods.map(m => m.name)], ids.map(id => [make("td", id), ...methods.map(m => cell(report.tasks[id][m.name]))]));
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
fillContamination();
fillTasks();
fillExamples();
drawAll();
$("reference").addEventListener("change", drawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
