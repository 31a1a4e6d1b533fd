// Draws the pictures from the tables behind them, and lets a drag over one narrow the queue.
// Without it the tables and the form say the same.
"use strict";

const pictures = document.getElementById("pictures");
document.documentElement.classList.toggle("no-plots", !(pictures && window.uPlot));

const queueUrl = pictures?.dataset.queue;
const number = new Intl.NumberFormat(document.documentElement.lang);
const figure2 = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const charts = [];

function token(name) {
  // A custom property as the browser resolves it, light-dark() included.
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function fade(colour, alpha) {
  return colour.replace(/^rgba?\(([^)/,]+)[, ]+([^),/]+)[, ]+([^),/]+).*$/, `rgba($1,$2,$3,${alpha})`);
}

function axes() {
  const line = { stroke: token("rule"), width: 1 };
  const shared = { stroke: token("ink-2"), grid: line, ticks: line, font: "12px sans-serif" };
  return [{ ...shared, size: 34 }, { ...shared, size: 52, values: (_, all) => all.map((v) => number.format(v)) }];
}

function options(plot, extra) {
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    legend: { show: false },
    axes: axes(),
    ...extra,
  };
}

// -- Brushing -------------------------------------------------------------------------------------
function told(figure, count, ranges) {
  const place = figure.querySelector("[data-brush]");
  if (!ranges) {
    place.hidden = true;
    return;
  }
  const query = new URLSearchParams({ show: "all" });
  for (const [name, [low, high]] of Object.entries(ranges)) {
    query.set(`${name}_min`, low.toFixed(4));
    query.set(`${name}_max`, high.toFixed(4));
  }
  const link = document.createElement("a");
  link.href = `${queueUrl}?${query}`;
  link.textContent = pictures.dataset.open.replace("%s", number.format(count));
  const words = Object.values(ranges).map(([low, high]) => pictures.dataset.range.replace("%a", figure2.format(low)).replace("%b", figure2.format(high)));
  place.replaceChildren(`${words.join(", ")}: `, link);
  place.hidden = false;
}

function selected(chart) {
  const { left, top, width, height } = chart.select;
  if (width < 3 && height < 3) return null;
  return {
    x: [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")],
    y: [chart.posToVal(top + height, "y"), chart.posToVal(top, "y")],
  };
}

// -- Histograms -----------------------------------------------------------------------------------
function figuresOf(table) {
  const rows = [...table.tBodies[0].rows].map((row) =>
    [...row.cells].filter((cell) => cell.dataset.value !== undefined).map((cell) => Number(cell.dataset.value)),
  );
  const edges = [...rows.map((row) => row[0]), rows.at(-1)[1]];
  // The outermost bars hold what lies further out too.
  const cells = [table.tBodies[0].rows[0].cells[0], [...table.tBodies[0].rows].at(-1).cells[1]];
  const [lowest, highest] = cells.map((cell) => Number(cell.dataset.holds));
  const series = rows[0].slice(2).map((_, i) => [...rows.map((row) => row[i + 2]), rows.at(-1)[i + 2]]);
  return { edges, lowest, highest, series };
}

function drawHistogram(figure) {
  const plot = figure.querySelector("[data-plot]");
  const { edges, lowest, highest, series } = figuresOf(figure.querySelector("[data-figures]"));
  const field = figure.dataset.ranges;
  const looks = ["ink-3", "candidate", "kept"].map(token);
  const stepped = uPlot.paths.stepped({ align: 1 });
  const chart = new uPlot(
    options(plot, {
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, high || 1] } },
      cursor: { y: false, points: { show: false }, drag: { x: Boolean(field), y: false, setScale: false } },
      series: [
        {},
        ...series.map((_, i) => ({
          stroke: looks[i],
          width: i === 0 ? 1 : 1.75,
          fill: i === 0 ? fade(looks[0], 0.18) : undefined,
          paths: stepped,
          points: { show: false },
        })),
      ],
      hooks: {
        setSelect: [
          (self) => {
            const box = selected(self);
            if (!box || !field) return told(figure, 0, null);
            const [low, high] = snapped(box.x, edges);
            const chosen = series.at(-1).slice(0, -1);
            const count = chosen.reduce((sum, n, i) => sum + (edges[i] >= low && edges[i + 1] <= high ? n : 0), 0);
            return told(figure, count, { [field]: [low === edges[0] ? lowest : low, high === edges.at(-1) ? highest : high] });
          },
        ],
      },
    }),
    [edges, ...series],
    plot,
  );
  charts.push({ chart, plot });
}

function snapped([low, high], edges) {
  const below = edges.filter((edge) => edge <= low).at(-1) ?? edges[0];
  const above = edges.find((edge) => edge >= high) ?? edges.at(-1);
  return [below, above];
}

// -- The scatter ----------------------------------------------------------------------------------
const scatter = { figure: null, chart: null, x: null, y: null, id: null, kind: null, drawnX: null, drawnY: null };

async function loadPoints(query) {
  const answer = await fetch(`${pictures.dataset.points}${query ? `?${query}` : ""}`);
  if (!answer.ok) return;
  const body = await answer.arrayBuffer();
  const n = body.byteLength / 13; // two floats, an id, a byte
  scatter.x = new Float32Array(body, 0, n);
  scatter.y = new Float32Array(body, 4 * n, n);
  scatter.id = new Uint32Array(body, 8 * n, n);
  scatter.kind = new Uint8Array(body, 12 * n, n);
}

// Where the picture ends: a few strays would squeeze all others into a corner. They lie more than
// three times the middle half's width beyond it, or among the outermost half per cent.
function bounds(values) {
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  if (!known.length) return [-1, 1];
  const at = (part) => known[Math.min(Math.floor(known.length * part), known.length - 1)];
  const reach = 3 * (at(0.75) - at(0.25)) || Infinity;
  const first = Math.max(at(0.25) - reach, at(0.005));
  const last = Math.min(at(0.75) + reach, known[Math.ceil(known.length * 0.995) - 1]);
  const low = Math.min(known.find((value) => value >= first), 0);
  const high = Math.max(known.findLast((value) => value <= last), 0);
  const room = (high - low || 1) * 0.04;
  return [low - room, high + room];
}

// Strays are drawn on the edge.
function within(values, [low, high]) {
  return values.map((value) => Math.min(Math.max(value, low), high));
}

// What a drag means that ends at an edge, or nearly: all the strays beyond it too.
function withStrays([low, high], [first, last], values) {
  const near = (last - first) / 50;
  let [from, to] = [low, high];
  for (const value of values) {
    if (low - first < near && value < from) from = value;
    if (last - high < near && value > to) to = value;
  }
  return [Math.floor(from * 1e4) / 1e4, Math.ceil(to * 1e4) / 1e4]; // as the address has them
}

function drawPoints(chart) {
  const { ctx, bbox } = chart;
  const order = [0, 1, 3, 2, 4]; // the rarer above the more frequent
  const looks = ["dropped", "ink-3", "candidate", "kept", "kept-ink"].map(token);
  const n = scatter.x.length;
  const size = (n > 20000 ? 1.6 : n > 2000 ? 3 : 6) * devicePixelRatio;
  const [x0, y0] = [chart.valToPos(0, "x", true), chart.valToPos(0, "y", true)];
  const kx = chart.valToPos(1, "x", true) - x0;
  const ky = chart.valToPos(1, "y", true) - y0;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = token("ink-3");
  ctx.strokeRect(x0, bbox.top - 1, 0, bbox.height + 2);
  ctx.strokeRect(bbox.left - 1, y0, bbox.width + 2, 0);
  for (const kind of order) {
    ctx.fillStyle = fade(looks[kind], n > 20000 ? 0.45 : 0.75);
    for (let i = 0; i < scatter.x.length; i += 1) {
      if (scatter.kind[i] === kind) ctx.fillRect(x0 + kx * scatter.drawnX[i] - size / 2, y0 + ky * scatter.drawnY[i] - size / 2, size, size);
    }
  }
  ctx.restore();
}

function nearest(chart, left, top) {
  let best = null;
  let distance = 8 ** 2; // pixels
  for (let i = 0; i < scatter.x.length; i += 1) {
    const d = (chart.valToPos(scatter.drawnX[i], "x") - left) ** 2 + (chart.valToPos(scatter.drawnY[i], "y") - top) ** 2;
    if (d < distance) [best, distance] = [i, d];
  }
  return best;
}

function countIn({ x, y }) {
  let count = 0;
  for (let i = 0; i < scatter.x.length; i += 1) {
    if (scatter.x[i] >= x[0] && scatter.x[i] <= x[1] && scatter.y[i] >= y[0] && scatter.y[i] <= y[1]) count += 1;
  }
  return count;
}

async function drawScatter(figure) {
  await loadPoints(document.querySelector("[data-query]")?.dataset.query);
  if (!scatter.x) return;
  const plot = figure.querySelector("[data-plot]");
  const [xRange, yRange] = [bounds(scatter.x), bounds(scatter.y)];
  Object.assign(scatter, { drawnX: within(scatter.x, xRange), drawnY: within(scatter.y, yRange) });
  const labels = [pictures.dataset.across, pictures.dataset.up];
  const [xAxis, yAxis] = axes();
  scatter.figure = figure;
  scatter.chart = new uPlot(
    options(plot, {
      axes: [
        { ...xAxis, label: labels[0], labelSize: 20, size: 34 },
        { ...yAxis, label: labels[1], labelSize: 20, values: undefined },
      ],
      scales: { x: { time: false, range: () => xRange }, y: { range: () => yRange } },
      cursor: { points: { show: false }, drag: { x: true, y: true, setScale: false } },
      series: [{}, { show: true, points: { show: false }, paths: () => null }],
      hooks: {
        draw: [drawPoints],
        setSelect: [
          (self) => {
            const drawn = selected(self);
            if (!drawn) return told(figure, 0, null);
            const box = { x: withStrays(drawn.x, xRange, scatter.x), y: withStrays(drawn.y, yRange, scatter.y) };
            return told(figure, countIn(box), { delta_ifd: box.x, delta_r_ifd: box.y });
          },
        ],
      },
    }),
    [xRange, [null, null]],
    plot,
  );
  charts.push({ chart: scatter.chart, plot });
  let down = null;
  plot.addEventListener("pointerdown", (event) => (down = [event.clientX, event.clientY]));
  plot.addEventListener("click", (event) => {
    if (!down || Math.hypot(event.clientX - down[0], event.clientY - down[1]) > 3) return;
    const { left, top } = scatter.chart.cursor;
    const hit = nearest(scatter.chart, left, top);
    if (hit !== null) window.location.assign(`${queueUrl}/${scatter.id[hit]}`);
  });
}

// -- The sliders ----------------------------------------------------------------------------------
function addSlider(holder) {
  const field = holder.querySelector("input");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: "0", max: "1.5", step: "0.01" });
  slider.setAttribute("aria-label", holder.querySelector("label").textContent.trim());
  slider.value = field.value || slider.max;
  slider.addEventListener("input", () => (field.value = slider.value === slider.max ? "" : slider.value));
  field.addEventListener("input", () => (slider.value = field.value || slider.max));
  field.after(slider);
}

function redraw() {
  for (const { chart, plot } of charts) chart.setSize({ width: plot.clientWidth, height: plot.clientHeight });
}

if (pictures && window.uPlot) {
  document.querySelectorAll("[data-slider]").forEach(addSlider);
  pictures.querySelectorAll("[data-histogram]").forEach(drawHistogram);
  pictures.querySelectorAll("[data-scatter]").forEach(drawScatter);
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 100);
  });
  // The answer of a what-if colours the points anew, once the slider rests.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "what-if-answer") return;
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      await loadPoints(document.querySelector("[data-query]")?.dataset.query);
      scatter.chart?.redraw();
    }, 250);
  });
}
