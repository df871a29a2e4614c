// A classic script in the head, so that the kept choice is there before the first paint.
(() => {
  const root = document.documentElement;
  const system = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

  // Storage is refused in some privacy modes; the choice then lasts as long as the page.
  const kept = (work) => {
    try {
      return work(localStorage);
    } catch {
      return null;
    }
  };

  const theme = kept((storage) => storage.getItem("theme"));
  if (theme) root.dataset.theme = theme;

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const next = (root.dataset.theme ?? system()) === "dark" ? "light" : "dark";
    if (next === system()) {
      // Back with the system: from here on it follows when the system changes.
      delete root.dataset.theme;
      kept((storage) => storage.removeItem("theme"));
    } else {
      root.dataset.theme = next;
      kept((storage) => storage.setItem("theme", next));
    }
  });
})();
