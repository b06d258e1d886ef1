(function () {
  "use strict";
  var root = document.documentElement;
  var KEY = "crosstrait-theme";

  // A browser may forbid a page to remember; then the choice lasts as long as the page is open.
  function remembered() {
    try { return localStorage.getItem(KEY); } catch (error) { return null; }
  }
  function remember(theme) {
    try { localStorage.setItem(KEY, theme); } catch (error) { return; }
  }
  // Theme: follows the system until the reader chooses; set before anything is painted.
  var chosen = remembered();
  if (chosen === "dark" || chosen === "light") { root.setAttribute("data-theme", chosen); }

  function each(selector, act) {
    Array.prototype.forEach.call(document.querySelectorAll(selector), act);
  }
  function button(text) {
    var made = document.createElement("button");
    made.type = "button";
    if (text) { made.textContent = text; }
    return made;
  }

  function offerThemes() {
    var system = window.matchMedia("(prefers-color-scheme: dark)");
    var toggle = button();
    function isDark() {
      var set = root.getAttribute("data-theme");
      return set ? set === "dark" : system.matches;
    }
    function label() {
      toggle.textContent = isDark() ? "Light" : "Dark";
      toggle.setAttribute("aria-label", "Switch to the " + (isDark() ? "light" : "dark") + " theme");
    }
    toggle.addEventListener("click", function () {
      var theme = isDark() ? "light" : "dark";
      root.setAttribute("data-theme", theme);
      remember(theme);
      label();
    });
    system.addEventListener("change", label);
    label();
    document.getElementById("theme").appendChild(toggle);
  }

  // Tables: a heading becomes a button; rows without a value stay at the end.
  function value(row, column) {
    var cell = row.cells[column];
    var given = cell.getAttribute("data-value");
    if (given === null) { return cell.textContent.trim().toLowerCase(); }
    return given === "" ? null : Number(given);
  }
  function sortBy(table, heading, column) {
    var numeric = heading.hasAttribute("data-numeric");
    var now = heading.getAttribute("aria-sort");
    var down = now ? now === "ascending" : numeric;
    var sign = down ? -1 : 1;
    var body = table.tBodies[0];
    var rows = Array.prototype.slice.call(body.rows);
    rows.sort(function (a, b) {
      var x = value(a, column), y = value(b, column);
      if (x === null || y === null) { return (x === null) - (y === null); }
      return x < y ? -sign : x > y ? sign : 0;
    });
    rows.forEach(function (row) { body.appendChild(row); });
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) {
      other.removeAttribute("aria-sort");
    });
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  }
  function offerSorting(table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (heading, column) {
      if (heading.hasAttribute("data-plain")) { return; }
      var press = button();
      while (heading.firstChild) { press.appendChild(heading.firstChild); }
      press.addEventListener("click", function () { sortBy(table, heading, column); });
      heading.appendChild(press);
    });
  }

  // A long table gets a field that keeps the rows whose name holds what is typed.
  var LONG = 10;
  function offerSearch(box) {
    var rows = box.querySelectorAll("tbody tr");
    if (rows.length <= LONG) { return; }
    var line = document.createElement("p");
    var label = document.createElement("label");
    var input = document.createElement("input");
    var found = document.createElement("span");
    input.type = "search";
    label.textContent = "Find " + box.getAttribute("data-search") + " ";
    found.setAttribute("role", "status");
    line.className = "search";
    input.addEventListener("input", function () {
      var wanted = input.value.trim().toLowerCase();
      var shown = 0;
      Array.prototype.forEach.call(rows, function (row) {
        row.hidden = row.cells[0].textContent.toLowerCase().indexOf(wanted) < 0;
        shown += row.hidden ? 0 : 1;
      });
      found.textContent = wanted ? shown + " of " + rows.length : "";
    });
    label.appendChild(input);
    line.appendChild(label);
    line.appendChild(found);
    box.insertAdjacentElement("beforebegin", line);
  }

  // A command can be copied; where the browser refuses, it is selected for the user to copy.
  function offerCopy(block) {
    if (!navigator.clipboard) { return; }
    var copy = button("Copy");
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(block.textContent.trim()).then(function () {
        copy.textContent = "Copied";
      }, function () {
        window.getSelection().selectAllChildren(block);
        copy.textContent = "Selected";
      });
    });
    block.insertAdjacentElement("afterend", copy);
  }

  // On paper nothing is folded.
  function unfoldForPrint() {
    var opened = [];
    window.addEventListener("beforeprint", function () {
      each("details:not([open])", function (fold) {
        fold.open = true;
        opened.push(fold);
      });
    });
    window.addEventListener("afterprint", function () {
      opened.splice(0).forEach(function (fold) { fold.open = false; });
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    offerThemes();
    each("table.sortable", offerSorting);
    each("[data-search]", offerSearch);
    each("pre.command", offerCopy);
    unfoldForPrint();
  });
})();
