/* The page of a story: the theme is the system's, until the button or the address (#dark, #light) says otherwise. */
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.remove("no-script");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const asked = () => { const name = location.hash.slice(1); return name === "dark" || name === "light" ? name : ""; };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const themed = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
  };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; themed(); });
  system.addEventListener("change", themed);
  if (asked()) root.dataset.theme = asked();
  themed();
  root.dataset.ready = "yes";
})();
