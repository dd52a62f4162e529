// The theme's Font Awesome must not replace the icons inside widgets by pictures.
window.FontAwesomeConfig = { autoReplaceSvg: "nest" };

// Widgets call MathJax 2 to typeset their labels. The pages load MathJax 3, which lacks that
// interface and replaces its global object while loading. So every such object gets one that
// does nothing.
(() => {
  const patched = (value) => {
    if (value && !value.Hub) value.Hub = { Queue() {} };
    return value;
  };
  let mathjax = patched(window.MathJax);
  Object.defineProperty(window, "MathJax", {
    get: () => mathjax,
    set: (value) => (mathjax = patched(value)),
  });
})();

// What a screen reader says. The themes name every fold "Toggle hidden content"; here a fold is
// called what is written on it, and one in the list of pages after its page. A button's name holds
// what it shows. A slider is called what its label says, and its value is read out as it is shown.
// And "55 ± 2" stays on one line.
addEventListener("load", () => {
  const all = (selector) => document.querySelectorAll(selector);
  const set = (element, attribute, text) => {
    if (element && element.getAttribute(attribute) !== text) element.setAttribute(attribute, text);
  };
  const nameAll = () => {
    for (const named of all("details.hide > summary, .search-button-field")) {
      named.removeAttribute("aria-label");
    }
    for (const summary of all(".has-children > details > summary")) {
      const page = summary.parentElement.previousElementSibling.textContent.trim();
      set(summary, "aria-label", `Pages of ${page}`);
    }
    for (const button of all(".admonition-title > .toggle-button")) {
      set(button, "aria-label", button.parentElement.textContent.trim());
    }
    for (const icon of all(".theme-switch-button svg:has(> title)")) {
      icon.querySelector("title").remove();
      icon.removeAttribute("aria-labelledby");
      icon.setAttribute("aria-hidden", "true");
    }
    for (const number of all("span.output.text_plain")) {
      if (/^.{0,20}±.{0,20}$/.test(number.textContent.trim())) number.style.whiteSpace = "nowrap";
    }
    for (const widget of all(".widget-slider")) {
      const slider = widget.querySelector("[role=slider]");
      set(slider, "aria-label", widget.querySelector(".widget-label").textContent);
      set(slider, "aria-valuetext", widget.querySelector(".widget-readout").textContent);
    }
  };
  nameAll();
  new MutationObserver(nameAll).observe(document.body, {
    subtree: true,
    childList: true,
    characterData: true,
    attributeFilter: ["aria-valuetext"],
  });
});

// Filters for the scoreboard's cards: by verdict, by chapter, by words. Without this script all cards
// are shown.
addEventListener("load", () => {
  const make = (tag, own = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), own);
    element.append(...inside);
    return element;
  };
  for (const board of document.querySelectorAll(".hfc-board")) {
    const cards = [...board.querySelectorAll("details[data-claim]")];
    const choice = (name, shown) => {
      const values = [...new Set(cards.map((card) => card.dataset[name]))];
      const options = values.map((value) => make("option", { value }, shown(value)));
      return make("select", { name }, make("option", { value: "" }, "all"), ...options);
    };
    const verdict = choice("verdict", (value) => value);
    const chapter = choice("chapter", (value) => `chapter ${value}`);
    const words = make("input", { type: "search", name: "words", autocomplete: "off" });
    const count = make("p");
    count.setAttribute("aria-live", "polite");
    const form = make(
      "form",
      { className: "hfc-filter" },
      make("label", {}, "Verdict ", verdict),
      make("label", {}, "Chapter ", chapter),
      make("label", {}, "Words ", words),
    );
    const apply = () => {
      const asked = words.value.trim().toLowerCase();
      for (const card of cards) {
        card.hidden = !(
          (!verdict.value || card.dataset.verdict === verdict.value) &&
          (!chapter.value || card.dataset.chapter === chapter.value) &&
          card.textContent.toLowerCase().includes(asked)
        );
      }
      const left = cards.filter((card) => !card.hidden).length;
      count.textContent = `${left} of ${cards.length} claims`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    board.prepend(form, count);
    apply();
  }
});
