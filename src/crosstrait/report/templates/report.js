(function () {
  "use strict";
  var root = document.documentElement;

  // Theme: follows the system until the reader chooses.
  var holder = document.getElementById("theme");
  var toggle = document.createElement("button");
  toggle.type = "button";
  function isDark() {
    var chosen = root.getAttribute("data-theme");
    if (chosen) { return chosen === "dark"; }
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function label() {
    toggle.textContent = isDark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", "Switch to the " + (isDark() ? "light" : "dark") + " theme");
  }
  toggle.addEventListener("click", function () {
    root.setAttribute("data-theme", isDark() ? "light" : "dark");
    label();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
  holder.appendChild(toggle);

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
  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), function (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (heading, column) {
      if (heading.hasAttribute("data-plain")) { return; }
      var button = document.createElement("button");
      button.type = "button";
      while (heading.firstChild) { button.appendChild(heading.firstChild); }
      button.addEventListener("click", function () { sortBy(table, heading, column); });
      heading.appendChild(button);
    });
  });

  // The command can be copied where the browser lets a page do so.
  Array.prototype.forEach.call(document.querySelectorAll("pre.command"), function (block) {
    if (!navigator.clipboard) { return; }
    var copy = document.createElement("button");
    copy.type = "button";
    copy.textContent = "Copy";
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(block.textContent).then(function () {
        copy.textContent = "Copied";
      });
    });
    block.insertAdjacentElement("afterend", copy);
  });

  // On paper nothing is folded.
  window.addEventListener("beforeprint", function () {
    Array.prototype.forEach.call(document.querySelectorAll("details"), function (fold) {
      fold.open = true;
    });
  });
})();
