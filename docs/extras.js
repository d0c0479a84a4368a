// What mdBook does not do: HCL highlighting, column names inside the cells of a stacked table, and line breaks in long names.
(() => {
  "use strict";

  if (window.hljs) {
    hljs.registerLanguage("hcl", (hljs) => {
      const interpolation = { className: "subst", begin: /\$\{/, end: /\}/, contains: [hljs.NUMBER_MODE] };
      const string = { className: "string", begin: /"/, end: /"/, contains: [hljs.BACKSLASH_ESCAPE, interpolation] };
      return {
        keywords: {
          keyword: "resource data module provider variable output locals terraform moved import ephemeral lifecycle for in if",
          literal: "true false null",
        },
        contains: [
          hljs.COMMENT(/#|\/\//, /$/),
          hljs.COMMENT(/\/\*/, /\*\//),
          hljs.NUMBER_MODE,
          string,
          { className: "attr", begin: /[A-Za-z_][\w-]*(?=\s*=[^=])/ },
          { className: "built_in", begin: /\b[a-z_]+(?=\()/ },
        ],
      };
    });
    for (const block of document.querySelectorAll("code.language-hcl")) {
      hljs.highlightBlock(block);
    }
  }

  // theme.css stacks the cells of a row on a small screen and shows `data-label` above each.
  for (const table of document.querySelectorAll("main table")) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, column) => cell.setAttribute("data-label", names[column] || ""));
    }
  }

  // A long name in a cell breaks after an underscore or a slash. `<wbr>` does not change what a reader copies.
  for (const code of document.querySelectorAll("main td code")) {
    const parts = code.textContent.split(/(?<=[_/])/);
    code.replaceChildren(...parts.flatMap((part) => [part, document.createElement("wbr")]));
  }
})();
