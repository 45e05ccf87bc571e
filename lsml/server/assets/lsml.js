// What the page does by itself: it loads its content again while it is looked at, its buttons post JSON, and "Try it" draws.
"use strict";

const said = (text) => {
  const line = document.getElementById("said");
  line.textContent = text;
  window.clearTimeout(said.timer);
  said.timer = window.setTimeout(() => { line.textContent = ""; }, 6000);
};

const post = async (path, body) => {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `the server answered ${answer.status}`);
  return told;
};

// A page without a form is replaced by what the server says now; focus stays where it was.
const refresh = async () => {
  if (document.hidden || document.querySelector("main form")) return;
  const answer = await fetch(window.location.href);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.body.dataset.live = fresh.body.dataset.live;
  const main = document.querySelector("main");
  const now = fresh.querySelector("main");
  if (main.innerHTML === now.innerHTML) return;
  const focusable = "a,button,[tabindex]";
  const at = [...main.querySelectorAll(focusable)].indexOf(document.activeElement);
  main.replaceWith(now);
  if (at >= 0) now.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
};

const live = () => window.setTimeout(async () => {
  try { await refresh(); } catch (error) { said(`lsml does not answer: ${error.message}`); }
  live();
}, 1000 * Number(document.body.dataset.live || 10));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button || (button.dataset.ask && !window.confirm(button.dataset.ask))) return;
  button.disabled = true;
  try {
    const told = await post(button.dataset.post, JSON.parse(button.dataset.body || "{}"));
    said(told.status && told.status !== "ok" ? told.status : "done");
    await refresh();
  } catch (error) {
    said(error.message);
  }
  button.disabled = false;
});

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const shape = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const labels = (value) => Object.entries(value)
  .filter(([key, held]) => Array.isArray(held) && /labels|choices|taxonomy|text/.test(key))
  .flatMap(([, held]) => held.map((one) => (Array.isArray(one) ? one.join(" / ") : String(one))));

// Each label of a page has a colour of its own, in the order in which labels are met.
const hues = new Map();
const tint = (label) => {
  if (!hues.has(label)) hues.set(label, (210 + 67 * hues.size) % 360);
  return `hsl(${hues.get(label)} 80% 50% / .28)`;
};

// Spans of one text, in order; where two overlap, the later one is listed below alone.
const marked = (text, spans) => {
  const drawn = element("p");
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < at) continue;
    drawn.append(text.slice(at, span.start));
    const mark = element("mark", text.slice(span.start, span.end));
    mark.append(element("b", span.labels.join(", ")));
    mark.style.background = tint(span.labels[0]);
    drawn.append(mark);
    at = span.end;
  }
  drawn.append(text.slice(at));
  return drawn;
};

// A rectangle's corners in percent: it is rotated about its upper left one, in pixels.
const corners = ({ value, original_width: wide, original_height: high }) => {
  const turn = (value.rotation || 0) * Math.PI / 180;
  const aspect = wide && high ? wide / high : 1;
  const at = (right, down) => [
    value.x + right * Math.cos(turn) - down / aspect * Math.sin(turn),
    value.y + right * aspect * Math.sin(turn) + down * Math.cos(turn),
  ];
  return [at(0, 0), at(value.width, 0), at(value.width, value.height), at(0, value.height)];
};

// `side` of a region: whose it is, where several are drawn over one picture.
const pictured = (source, regions, alt = "The image with the predicted regions") => {
  const drawn = element("div", undefined, { class: "picture" });
  drawn.append(element("img", undefined, { src: source, alt }));
  const over = shape("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
  for (const region of regions) {
    const { value, side = "" } = region;
    if (value.points) over.append(shape("polygon", { points: value.points.map((point) => point.join(",")).join(" "), class: side }));
    else if (value.radiusX !== undefined) over.append(shape("ellipse", { cx: value.x, cy: value.y, rx: value.radiusX, ry: value.radiusY, class: side }));
    else if (value.height !== undefined && region.type.startsWith("rectangle")) {
      over.append(shape("polygon", { points: corners(region).map((point) => point.join(",")).join(" "), class: side }));
    } else if (region.type.startsWith("keypoint")) over.append(shape("ellipse", { cx: value.x, cy: value.y, rx: 0.8, ry: 0.8, class: side }));
    else continue;
    const [x, y] = value.points ? value.points[0] : [value.x, value.y];
    const name = shape("text", { x, y: Math.max(4, y - 1), class: side });
    name.textContent = labels(value).join(", ");
    over.append(name);
  }
  drawn.append(over);
  return drawn;
};

// A recording to listen to, and its regions as bars on a line as long as it; a press on a bar plays it from there.
const played = (source, regions) => {
  const name = source.startsWith("data:video/") ? "video" : "audio";
  const player = element(name, undefined, { src: source, controls: "", "aria-label": "The recording" });
  const line = element("div", undefined, { class: "timeline" });
  player.addEventListener("loadedmetadata", () => {
    for (const { value } of regions) {
      const times = value.sequence ? value.sequence.map((keyframe) => keyframe.time) : [value.start, value.end];
      const [start, end] = [Math.min(...times), Math.max(...times)];
      if (!(end >= start)) continue;
      const bar = element("button", labels(value).join(", "), { type: "button", title: `${start.toFixed(2)} to ${end.toFixed(2)} s` });
      bar.style.background = tint(labels(value)[0]);
      bar.style.left = `${100 * start / player.duration}%`;
      bar.style.width = `${100 * (end - start) / player.duration}%`;
      bar.addEventListener("click", () => { player.currentTime = start; player.play(); });
      line.append(bar);
    }
  });
  const drawn = element("div", undefined, { class: "played" });
  drawn.append(player, line);
  return drawn;
};

// What people and two versions marked in one task, under each other in a text, over each other in a picture.
const side_by_side = (at) => {
  const { texts, pictures, ...marks } = JSON.parse(at.dataset.drawing);
  const sides = [["people", "People"], ["new", at.dataset.new], ["old", at.dataset.old]];
  const of = (name) => sides.flatMap(([side]) => marks[side].filter((region) => region.to_name === name).map((region) => ({ ...region, side })));
  for (const [name, text] of Object.entries(texts)) {
    for (const [side, title] of sides) {
      const spans = of(name).filter((region) => region.side === side && Number.isInteger(region.value.start))
        .map(({ value }) => ({ start: value.start, end: value.end, labels: labels(value) }));
      at.append(element("h3", title), marked(text, spans));
    }
  }
  for (const [name, pages] of Object.entries(pictures)) {
    const legend = element("p");
    for (const [side, title] of sides) legend.append(element("span", title, { class: `key ${side}` }));
    at.append(legend);
    for (let page = 0; page < pages; page += 1) {
      const regions = of(name).filter((region) => (region.item_index || 0) === page);
      if (regions.length) at.append(pictured(`${at.dataset.picture}&object=${encodeURIComponent(name)}&page=${page}`, regions,
        "The image with the regions of people and both versions"));
    }
  }
};

document.addEventListener("toggle", (event) => {
  for (const at of event.target.querySelectorAll("[data-drawing]:empty")) side_by_side(at);
}, true);

const read = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

const MOST_LABELS = 20;
const scored = (control, scores) => {
  const table = element("table");
  const all = Object.entries(scores);
  table.append(element("caption", `Score of each label of ${control}${all.length > MOST_LABELS ? `, the highest ${MOST_LABELS} of ${all.length}` : ""}`));
  const body = table.createTBody();
  for (const [label, score] of all.slice(0, MOST_LABELS)) {
    const row = element("tr");
    const bar = element("td");
    bar.append(element("meter", "", { min: 0, max: 1, value: score, "aria-label": label }));
    row.append(element("th", label, { scope: "row" }), bar, element("td", Number(score).toFixed(3)));
    body.append(row);
  }
  return table;
};

const show = (task, answer, took) => {
  const at = document.getElementById("shown");
  const prediction = answer.results[0];
  at.replaceChildren(element("h2", "Prediction"));
  if (!prediction || !prediction.result) {
    at.append(element("p", "No prediction.", { class: "warn" }));
    for (const why of answer.why_not || []) at.append(element("p", why));
    return;
  }
  at.append(element("p", `Score ${Number(prediction.score).toFixed(3)}, by ${prediction.model_version}, in ${took} ms.`));
  const at_time = ({ value }) => (Number.isFinite(value.start) ? value.start : 0);
  const regions = prediction.result.filter((region) => region.value).sort((a, b) => at_time(a) - at_time(b));
  for (const [field, value] of Object.entries(task.data)) {
    if (typeof value !== "string") continue;
    const spans = regions.filter((region) => Number.isInteger(region.value.start))
      .map((region) => ({ start: region.value.start, end: region.value.end, labels: labels(region.value) }));
    if (value.startsWith("data:image/")) at.append(pictured(value, regions));
    else if (/^data:(audio|video)\//.test(value)) at.append(played(value, regions));
    else if (spans.length && document.querySelectorAll("[data-field]").length === 1) at.append(marked(value, spans));
    else if (spans.length) at.append(element("p", field, { class: "quiet" }), marked(value, spans));
  }
  const table = element("table");
  const head = element("tr");
  for (const name of ["Control", "Prediction", "Score"]) head.append(element("th", name, { scope: "col" }));
  table.append(element("thead"));
  table.tHead.append(head);
  const body = table.createTBody();
  for (const region of regions) {
    const row = element("tr");
    const answer = labels(region.value).join(", ") || JSON.stringify(Object.values(region.value)[0]);
    const { text, start, end } = region.value;
    const spoken = /labels$/.test(region.type) && !text && Number.isFinite(end) ? `, ${start.toFixed(2)} to ${end.toFixed(2)} s` : "";
    const where = text && Number.isInteger(start) ? `: ${text}` : spoken;
    row.append(element("th", region.from_name, { scope: "row" }), element("td", answer + where),
      element("td", region.score === undefined ? "" : Number(region.score).toFixed(3)));
    body.append(row);
  }
  at.append(table);
  for (const [control, scores] of Object.entries((answer.label_scores || [{}])[0])) at.append(scored(control, scores));
  const json = JSON.stringify(prediction, null, 1);
  const copy = element("button", "Copy the JSON", { type: "button" });
  copy.addEventListener("click", () => navigator.clipboard.writeText(json).then(() => said("copied"), (error) => said(error.message)));
  const whole = element("details");
  whole.append(element("summary", "The prediction as JSON"), copy, element("pre", json));
  at.append(whole);
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "try") return;
  event.preventDefault();
  try {
    const written = document.getElementById("task").value.trim();
    let task = { data: {} };
    if (written) task = JSON.parse(written);
    else {
      for (const field of form.querySelectorAll("[data-field]")) {
        const file = field.files && field.files[0];
        if (file) task.data[field.dataset.field] = await read(file);
        else if (field.value && !field.files) task.data[field.dataset.field] = field.value;
      }
    }
    const began = performance.now();
    const answer = await post(form.dataset.predict, { tasks: [task], project: form.dataset.project, params: { label_scores: true } });
    show(task, answer, Math.round(performance.now() - began));
  } catch (error) {
    document.getElementById("shown").replaceChildren(element("p", error.message, { class: "warn" }));
  }
});

live();
