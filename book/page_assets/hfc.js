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
