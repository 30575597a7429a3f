(() => {
  const hover = document.getElementById("hover");
  const show = (mark, x, y) => {
    hover.textContent = mark.dataset.hover;
    hover.hidden = false;
    const box = hover.getBoundingClientRect();
    hover.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 4)) + "px";
    hover.style.top = (y + box.height + 24 > innerHeight ? y - box.height - 10 : y + 16) + "px";
  };
  const hide = () => { hover.hidden = true; };
  let chosen = null;
  const choose = mark => {
    chosen?.classList.remove("chosen");
    chosen = mark;
    if (!mark) return hide();
    mark.classList.add("chosen");
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top + box.height / 2);
  };
  for (const chart of document.querySelectorAll("svg.chart")) {
    const marks = [];
    for (const title of chart.querySelectorAll("title")) {
      title.parentNode.dataset.hover = title.textContent;
      marks.push(title.parentNode);
      title.remove();
    }
    if (!marks.length) continue;
    chart.setAttribute("tabindex", "0");
    chart.addEventListener("pointermove", event => {
      const mark = event.target.closest("[data-hover]");
      mark ? show(mark, event.clientX, event.clientY) : hide();
    });
    chart.addEventListener("pointerleave", hide);
    chart.addEventListener("blur", () => choose(null));
    chart.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") return choose(null);
      if (!step) return;
      event.preventDefault();
      const place = marks.indexOf(chosen);
      choose(marks[place < 0 ? 0 : (place + step + marks.length) % marks.length]);
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
