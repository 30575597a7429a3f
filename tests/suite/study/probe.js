// What the test puts at the start of a report: it notes errors, and when the page is loaded tries it out and leaves what it found in a
// last element.
const errors = [];
addEventListener("error", event => errors.push(event.message || "a file that is not there"), true);
addEventListener("unhandledrejection", event => errors.push(String(event.reason)));
addEventListener("load", () => {
  const hover = document.getElementById("hover");
  const charts = [...document.querySelectorAll("svg.chart")];
  const says = () => (hover.hidden ? "" : hover.textContent);
  // The first thing in a picture that has a value: what it must say, and where it is.
  const first = chart => {
    const mark = chart.querySelector("[data-hover]");
    if (!mark) return null;
    if (!mark.dataset.each) return { mark, text: mark.dataset.hover, x: 50, y: 50 };
    const [x, y] = mark.getAttribute("d").slice(1).split("h")[0].split(" ").map(Number);
    const place = new DOMPoint(x, y).matrixTransform(mark.getScreenCTM());
    return { mark, text: `${mark.dataset.hover} ${mark.dataset.each.split("|")[0]}`, x: place.x, y: place.y };
  };
  const pointed = charts.filter(chart => {
    const stop = first(chart);
    if (!stop) return false;
    stop.mark.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: stop.x, clientY: stop.y }));
    const right = says() === stop.text && stop.text.length > 3;
    chart.dispatchEvent(new PointerEvent("pointerleave"));
    return right && hover.hidden;
  });
  const press = (chart, key) => chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const walked = charts.filter(chart => {
    const stop = first(chart);
    if (!stop) return false;
    chart.focus();
    press(chart, "ArrowRight");
    const begin = document.activeElement === chart && says() === stop.text;
    press(chart, "ArrowRight");
    const next = says().length > 3 && says() !== stop.text;
    press(chart, "Escape");
    return begin && next && hover.hidden;
  });
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const before = paper();
  document.getElementById("theme").click();
  const turned = paper();
  document.getElementById("theme").click();
  const links = [...document.querySelectorAll("a")].map(a => a.getAttribute("href"));
  const found = {
    errors, links, charts: charts.length, pointed: pointed.length, walked: walked.length, before, turned, after: paper(),
    broken: links.filter(href => href.startsWith("#") && !document.getElementById(href.slice(1))),
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
    language: document.documentElement.lang,
    unnamed: charts.filter(chart => !chart.getAttribute("aria-label")).length,
    width: document.documentElement.scrollWidth, room: innerWidth,
  };
  const last = document.createElement("pre");
  last.id = "probe";
  last.textContent = "PROBE" + JSON.stringify(found) + "PROBE";
  (window.parent === window ? document : parent.document).body.append(last);
});
