/* Drawings of the pages of research: what a mark says on hover, it also says below its drawing, for fingers. */
(() => {
  "use strict";
  for (const figure of document.querySelectorAll(".plot, .distribution")) {
    const readout = figure.querySelector(".readout");
    if (!readout) continue;
    const told = (event) => {
      const title = event.target.querySelector?.(":scope > title");
      if (title) readout.textContent = title.textContent;
    };
    figure.addEventListener("pointerover", told);
    figure.addEventListener("click", told);
  }
})();
