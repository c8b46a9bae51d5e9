// One selection for all pictures: pointing at a mark lights up its setting everywhere, a click keeps it.
const told = document.getElementById("told");
const names = JSON.parse(document.getElementById("names").textContent);
const marks = {};
for (const mark of document.querySelectorAll("[data-t]")) (marks[mark.dataset.t] ??= []).push(mark);
let kept = null;
let shown = null;

function show(settings) {
  for (const mark of document.querySelectorAll(".lit")) mark.classList.remove("lit");
  document.body.classList.toggle("on", settings.length > 0);
  document.body.classList.toggle("many", settings.length > 20);
  for (const setting of settings) for (const mark of marks[setting] ?? []) mark.classList.add("lit");
  told.textContent = settings.length === 1 ? names[settings[0]]
    : settings.length ? `${settings.length} settings chosen`
    : "Point at a mark to see its setting; click to keep it, Escape to let it go.";
}

// A mark is too small for a finger: the nearest one within 12 units counts.
function settingAt(event) {
  const mark = event.target.closest?.("[data-t]");
  if (mark) return mark.dataset.t;
  const picture = event.target.closest?.("svg");
  if (!picture) return null;
  const matrix = picture.getScreenCTM();
  const x = (event.clientX - matrix.e) / matrix.a;
  const y = (event.clientY - matrix.f) / matrix.d;
  picture.places ??= [...picture.querySelectorAll("circle")].map(
    (circle) => [+circle.getAttribute("cx"), +circle.getAttribute("cy"), circle.dataset.t]);
  let nearest = null;
  let least = 144;
  for (const [left, top, setting] of picture.places) {
    const distance = (left - x) ** 2 + (top - y) ** 2;
    if (distance < least) [least, nearest] = [distance, setting];
  }
  return nearest;
}

document.addEventListener("pointermove", (event) => {
  const setting = settingAt(event);
  if (kept || setting === shown) return;
  shown = setting;
  show(setting === null ? [] : [setting]);
});
document.addEventListener("click", (event) => {
  if (event.target.closest("a, label, input, summary, .ax")) return;
  const setting = settingAt(event);
  kept = setting === null ? null : [setting];
  show(kept ?? []);
});
document.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-t]");
  if (row) show((kept = [row.dataset.t]));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") show((kept = null) ?? []);
});

// Dragging along an axis of the parallel coordinates chooses the settings that pass there.
const ranges = {};
let start = null;
for (const axis of document.querySelectorAll(".ax")) {
  const handle = axis.querySelector("rect");
  const height = (event) => {
    const matrix = axis.ownerSVGElement.getScreenCTM();
    return (event.clientY - matrix.f) / matrix.d;
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    start = height(event);
  });
  handle.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const [low, high] = [start, height(event)].sort((a, b) => a - b);
    start = null;
    axis.querySelector(".chosen")?.remove();
    delete ranges[axis.dataset.j];
    if (high - low > 4) {
      ranges[axis.dataset.j] = [low, high];
      const chosen = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const size = { x: handle.getAttribute("x"), width: 28, y: low, height: high - low, class: "chosen" };
      for (const [name, value] of Object.entries(size)) chosen.setAttribute(name, value);
      axis.append(chosen);
    }
    const passing = [...document.querySelectorAll(".q")].filter((line) => {
      const heights = line.getAttribute("d").slice(1).split("L").map((place) => +place.split(" ")[1]);
      return Object.entries(ranges).every(([j, [from, to]]) => heights[j] >= from && heights[j] <= to);
    });
    kept = Object.keys(ranges).length ? passing.map((line) => line.dataset.t) : null;
    show(kept ?? []);
  });
}
show([]);
