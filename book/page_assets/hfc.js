// The theme's Font Awesome must not replace the icons inside widgets by pictures.
window.FontAwesomeConfig = { autoReplaceSvg: "nest" };
// Widgets typeset with MathJax 2's interface; the pages load MathJax 3, which has another one.
window.addEventListener("load", () => {
  window.MathJax = window.MathJax || {};
  window.MathJax.Hub = window.MathJax.Hub || { Queue: () => {} };
});
