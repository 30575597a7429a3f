(() => {
  const hover = document.getElementById("hover");
  const show = (text, x, y) => {
    hover.textContent = text;
    hover.hidden = false;
    const box = hover.getBoundingClientRect();
    hover.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 4)) + "px";
    hover.style.top = (y + box.height + 24 > innerHeight ? y - box.height - 10 : y + 16) + "px";
  };
  const hide = () => { hover.hidden = true; };
  // The dots of a path that holds many: where they stand in the picture and what they say.
  const dots = new Map();
  const dotsOf = path => {
    if (!dots.has(path)) {
      const places = path.getAttribute("d").split("M").slice(1).map(dot => dot.split("h")[0].split(" ").map(Number));
      dots.set(path, path.dataset.each.split("|").map((text, i) => ({ text: `${path.dataset.hover} ${text}`, at: places[i] })));
    }
    return dots.get(path);
  };
  const nearest = (path, x, y) => {
    const here = new DOMPoint(x, y).matrixTransform(path.getScreenCTM().inverse());
    const far = dot => (dot.at[0] - here.x) ** 2 + (dot.at[1] - here.y) ** 2;
    return dotsOf(path).reduce((best, dot) => (far(dot) < far(best) ? dot : best));
  };
  // Everything in a picture that says something, for the keyboard.
  const stops = chart => [...chart.querySelectorAll("[data-hover]")].flatMap(mark =>
    mark.dataset.each ? dotsOf(mark).map(dot => ({ mark, ...dot })) : [{ mark, text: mark.dataset.hover }]);
  const place = ({ mark, at }) => {
    if (at) return new DOMPoint(...at).matrixTransform(mark.getScreenCTM());
    const box = mark.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  };
  let chosen = null;
  const choose = stop => {
    chosen?.mark.classList.remove("chosen");
    chosen = stop;
    if (!stop) return hide();
    if (!stop.at) stop.mark.classList.add("chosen");
    const { x, y } = place(stop);
    show(stop.text, x, y);
  };
  for (const chart of document.querySelectorAll("svg.chart")) {
    for (const title of chart.querySelectorAll("title")) {
      title.parentNode.dataset.hover = title.textContent;
      title.remove();
    }
    if (!chart.querySelector("[data-hover]")) continue;
    chart.setAttribute("tabindex", "0");
    chart.addEventListener("pointermove", event => {
      const mark = event.target.closest("[data-hover]");
      if (!mark) return hide();
      const text = mark.dataset.each ? nearest(mark, event.clientX, event.clientY).text : mark.dataset.hover;
      show(text, event.clientX, event.clientY);
    });
    chart.addEventListener("pointerleave", hide);
    let marks = null, number = -1;
    chart.addEventListener("blur", () => { number = -1; choose(null); });
    chart.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") return choose(null);
      if (!step) return;
      event.preventDefault();
      marks ??= stops(chart);
      number = number < 0 ? 0 : (number + step + marks.length) % marks.length;
      choose(marks[number]);
    });
  }
  const root = document.documentElement, key = "flue-study-theme";
  const remembered = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = value => { try { localStorage.setItem(key, value); } catch { /* a page from a file may have no storage */ } };
  if (remembered()) root.dataset.theme = remembered();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember(root.dataset.theme);
  });
})();
