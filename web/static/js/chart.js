// Charts: a figure with figures in it (JSON) becomes a plot; the table beside it says the same.

"use strict";

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
const MICROS = 1e6;
const SCALES = {
  micros: { divide: MICROS, show: (value, step = 1) => `$${value.toFixed(decimals(step))}` },
  percent: { divide: 1, show: (value) => `${value} %` },
  watts: { divide: 1, show: (value) => `${value} W` },
  celsius: { divide: 1, show: (value) => `${value} °C` },
  count: { divide: 1, show: (value) => value.toLocaleString("en-GB") },
};
const DAY_S = 86400;
const CENTS = 2;
const MOST_DECIMALS = 6;
const AXIS_MIN = 58;
const AXIS_GAP = 18;
const FIGURE_PX = 7.5;
const plots = new WeakMap();

// As many decimals as tell two neighbouring ticks apart.
function decimals(step) {
  const apart = (digits) => Math.abs(step - Number(step.toFixed(digits))) < step * 1e-6;
  let digits = CENTS;
  while (digits < MOST_DECIMALS && !apart(digits)) digits += 1;
  return digits;
}

const colorOf = (holder, name) => {
  const probe = document.createElement("i");
  probe.className = name;
  holder.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
};

const faded = (color) => color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)");

function clock(seconds, step) {
  const at = new Date(seconds * 1000);
  return step >= DAY_S
    ? at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })
    : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function lines(holder, series, scale) {
  return series.map(({ label, style }, index) => {
    const color = colorOf(holder, style === "dashed" ? "c9" : `c${index}`);
    return {
      label,
      stroke: color,
      width: style === "dashed" ? 1.25 : 1.75,
      dash: style === "dashed" ? [5, 4] : DASHES[index],
      fill: style === "filled" ? faded(color) : undefined,
      spanGaps: false,
      points: { show: false },
      value: (_, value) => (value === null ? "–" : scale.show(value)),
    };
  });
}

// As wide as the longest label: tiny amounts have six decimals.
const roomFor = (_, labels) => Math.max(AXIS_MIN, AXIS_GAP + FIGURE_PX * Math.max(0, ...(labels ?? []).map((label) => label.length)));

function options(holder, chart, scale) {
  const quiet = { stroke: colorOf(holder, "muted"), font: "12px Inter, system-ui, sans-serif" };
  const grid = { stroke: colorOf(holder, "grid"), width: 1 };
  return {
    width: holder.clientWidth,
    height: 240,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { show: false },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...quiet, grid, ticks: { show: false }, size: 32, values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step)) },
      { ...quiet, grid, ticks: { show: false }, size: roomFor, values: (_, ticks, __, ___, step) => ticks.map((tick) => scale.show(tick, step)) },
    ],
    series: [{}, ...lines(holder, chart.series, scale)],
  };
}

function draw(figure) {
  const holder = figure.querySelector(".plot");
  const text = figure.querySelector("script").textContent;
  const known = plots.get(holder);
  if (known?.text === text && known.width === holder.clientWidth && !known.stale) return;
  const chart = JSON.parse(text);
  const scale = SCALES[chart.unit] ?? SCALES.count;
  const values = chart.series.map((one) =>
    one.values.map((value) => (value === null ? null : value / scale.divide)));
  known?.plot.destroy();
  const plot = new uPlot(options(holder, chart, scale), [chart.times_ms.map((at) => at / 1000), ...values], holder);
  plots.set(holder, { plot, text, width: holder.clientWidth, stale: false });
}

const drawAll = () => document.querySelectorAll("figure.chart").forEach(draw);

addEventListener("resize", drawAll, { passive: true });
document.addEventListener("htmx:after:swap", drawAll);
for (const source of [matchMedia("(prefers-color-scheme: dark)"), globalThis]) {
  source.addEventListener(source === globalThis ? "themechange" : "change", () => {
    document.querySelectorAll(".plot").forEach((holder) => {
      const known = plots.get(holder);
      if (known) known.stale = true;
    });
    drawAll();
  });
}
drawAll();
