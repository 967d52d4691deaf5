"""WCAG's contrast in a browser: texts whose ratio to their ground is below 4.5, by the computed colours."""

CONTRAST = """() => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const one = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * one(r) + 0.7152 * one(g) + 0.0722 * one(b);
  };
  const ground = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const found = parts(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const low = [];
  const texts = "p, li, td, th, a, dt, dd, h1, h2, h3, caption, figcaption, textarea, summary, code";
  for (const node of document.querySelectorAll(texts)) {
    if (node.closest("#curves") || !node.textContent.trim()) continue;
    const a = light(parts(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push([node.tagName, node.textContent.slice(0, 30), ratio]);
  }
  return low;
}"""
