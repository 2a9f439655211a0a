"""How a report looks, light and dark, and the one script that it has: sorting tables by a click."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --soft: #5c6877; --line: #dde2e8; --panel: #f5f7f9;
  --dot: #3d76ad; --best: #c94f00; --front: #00795c; --fail: #a33a66;
  --r0: #dfe5ec; --r1: #bfd0e2; --r2: #93b5d7; --r3: #5f93c4; --r4: #3370aa; --r5: #134c84; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e3e8ee; --soft: #9ba8b6; --line: #2d3641;
  --panel: #1b2128; --dot: #6ea8dc; --best: #ff9c5a; --front: #4fd0a4; --fail: #ef88b0;
  --r0: #26313c; --r1: #2f4860; --r2: #386288; --r3: #4a82b5; --r4: #75a9d8; --r5: #b5d6f5; } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink);
  background: var(--paper); max-width: 1040px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .5rem; padding-top: .2rem; font-weight: 650; }
h3 { font-size: .95rem; margin: 1.4rem 0 .4rem; font-weight: 600; }
p { margin: .35rem 0 .8rem; max-width: 48rem; }
.kind { color: var(--soft); font-size: .85rem; margin: 0 0 .2rem; }
.note { color: var(--soft); font-size: .88rem; }
nav { margin: 1.4rem 0 0; font-size: .9rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
a { color: var(--dot); text-decoration: none; } a:hover { text-decoration: underline; }
.numbers { display: flex; flex-wrap: wrap; margin: 1.4rem 0 0; padding: .3rem 0; list-style: none;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.numbers li { padding: .5rem .9rem; flex: 1 1 auto; }
.numbers b { display: block; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.numbers span { color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
.numbers .first b { color: var(--best); }
pre { font: .84rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--panel);
  border: 1px solid var(--line); border-radius: 8px; padding: .9rem 1.1rem; overflow-x: auto; margin: .6rem 0; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; margin: .4rem 0; }
th, td { text-align: right; padding: .32rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; border-bottom-width: 2px; vertical-align: bottom; }
td { font-variant-numeric: tabular-nums; }
th.words, td.words { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
tbody tr:hover { background: var(--panel); }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--dot); }
th button::after { content: '\\2195'; opacity: .35; padding-left: .3em; }
th[aria-sort=ascending] button::after { content: '\\2191'; opacity: 1; }
th[aria-sort=descending] button::after { content: '\\2193'; opacity: 1; }
svg { display: block; width: 100%; height: auto; margin: .8rem 0 1.4rem; font: 12px system-ui, sans-serif;
  font-variant-numeric: tabular-nums; }
svg .axis, svg .small, svg .mark { fill: var(--soft); } svg .small { font-size: 11px; }
svg .name { fill: var(--ink); font-weight: 600; }
svg .mark { font-size: 11px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg .grid { stroke: var(--line); } svg .base, svg .axle { stroke: var(--soft); fill: none; }
svg .dot { fill: var(--dot); fill-opacity: .5; } svg .off { fill: none; stroke: var(--dot); stroke-opacity: .6; }
svg circle:hover { fill: var(--best); fill-opacity: 1; }
svg .line { fill: none; stroke: var(--best); stroke-width: 2; } svg .fail { stroke: var(--fail); stroke-opacity: .7; }
svg .front { fill: var(--front); } svg .edge { fill: none; stroke: var(--front); stroke-dasharray: 4 3; }
svg .lines path { fill: none; stroke-opacity: .55; } svg .lines path:hover { stroke: var(--best); stroke-width: 3; }
svg .r0 { stroke: var(--r0); } svg .r1 { stroke: var(--r1); } svg .r2 { stroke: var(--r2); }
svg .r3 { stroke: var(--r3); } svg .r4 { stroke: var(--r4); } svg .r5 { stroke: var(--r5); }
svg .lines .top { stroke: var(--best); stroke-width: 2.5; stroke-opacity: 1; }
svg .bar { fill: var(--dot); } svg .track { fill: var(--panel); }
.ramp { display: inline-block; width: 1.1em; height: .7em; margin-right: 1px; }
.ramp.s0 { background: var(--r0); } .ramp.s1 { background: var(--r1); } .ramp.s2 { background: var(--r2); }
.ramp.s3 { background: var(--r3); } .ramp.s4 { background: var(--r4); } .ramp.s5 { background: var(--r5); }
.ramp.best { background: var(--best); }
@media print { nav { display: none; } body { max-width: none; padding: 0; } }
"""

# Without it the tables are read in the order they have. The buttons are made here, so that none is there in vain.
SCRIPT = """
for (const table of document.querySelectorAll('table.sorts')) {
  const body = table.tBodies[0];
  const key = (row, i) => { const t = row.cells[i].textContent, n = parseFloat(t); return isNaN(n) ? t : n; };
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') === 'descending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const rows = [...body.rows].map(row => [key(row, i), row]).sort(([a], [b]) => {
        if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
        const order = typeof a === 'number' ? a - b : a.localeCompare(b);
        return up ? order : -order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
"""
