/** The page's only style sheet; its hash is in the page's policy. */
export const STYLE = `
:root {
    color-scheme: light dark;
    --page: #f5f6f8; --card: #ffffff; --line: #d9dee6; --text: #1b2430; --dim: #566274;
    --good: #14724b; --good-page: #e4f4ec; --warn: #8a5300; --warn-page: #fdf1dc; --bad: #a8232b; --bad-page: #fcebec;
    --grey: #66717f; --violet: #6b4fc4; --blue: #1f63c6; --teal: #0d7680; --amber: #a55f00;
}
@media (prefers-color-scheme: dark) {
    :root {
        --page: #12161c; --card: #1b212a; --line: #333d4a; --text: #e7ecf3; --dim: #a3afbf;
        --good: #62d19e; --good-page: #15302a; --warn: #f0b860; --warn-page: #35290f; --bad: #ff9096; --bad-page: #3b1b20;
        --grey: #9aa6b5; --violet: #b09cf5; --blue: #80b2ff; --teal: #62cbd6; --amber: #f0b860;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0; background: var(--page); color: var(--text);
    font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Open Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { margin: 0; font-size: 27px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 40px 0 12px; font-size: 19px; }
p { margin: 8px 0; overflow-wrap: anywhere; }
.meta { color: var(--dim); margin: 6px 0 20px; }
.verdict { border-radius: 10px; padding: 14px 18px; border-left: 5px solid; }
.verdict ul, .verdict ol { margin: 6px 0 0; padding-left: 22px; }
.verdict li { margin: 4px 0; overflow-wrap: anywhere; }
.verdict .next { display: block; color: var(--dim); }
.good { background: var(--good-page); border-color: var(--good); }
.warn { background: var(--warn-page); border-color: var(--warn); }
.bad { background: var(--bad-page); border-color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.figures dt { color: var(--dim); font-size: 13px; }
.figures dd { margin: 2px 0 0; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 8px 12px; border-top: 1px solid var(--line); overflow-wrap: anywhere; min-width: 84px; }
td:first-child { min-width: 190px; }
th { color: var(--dim); font-weight: 600; border-top: 0; white-space: nowrap; }
td.count, th.count { text-align: right; font-variant-numeric: tabular-nums; }
td small { display: block; color: var(--dim); font-size: 12.5px; }
td small.blocked { color: var(--bad); }
td.wide { min-width: 220px; }
details { margin: 12px 0; }
summary { cursor: pointer; padding: 6px 0; font-weight: 600; overflow-wrap: anywhere; }
summary span { color: var(--dim); font-weight: 400; }
.ok { color: var(--good); } .failed { color: var(--bad); } .unknown { color: var(--warn); }
footer { margin-top: 48px; color: var(--dim); font-size: 13px; }
.picture { display: block; height: auto; max-width: 100%; font-family: inherit; }
.narrow { display: none; }
@media (max-width: 800px) { .wide.picture { display: none; } .narrow.picture { display: block; } main { padding: 20px 14px 48px; } h1 { font-size: 22px; } }
.stage > .box { fill: var(--card); stroke: var(--kind); stroke-width: 1.5; }
.stage .number { fill: var(--kind); }
.stage .ordinal { fill: var(--card); font-size: 14px; font-weight: 700; text-anchor: middle; }
.part .box { fill: var(--page); stroke: var(--line); }
.stage .title { fill: var(--text); font-size: 15px; font-weight: 650; }
.part .name { fill: var(--text); font-size: 13px; font-weight: 600; }
.stage > .detail { fill: var(--dim); font-size: 13px; }
.part .detail { fill: var(--dim); font-size: 12px; }
.arrow { fill: none; stroke: var(--dim); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.backup, .check { --kind: var(--grey); } .crds { --kind: var(--violet); } .controlPlane { --kind: var(--blue); }
.extension, .gateways { --kind: var(--teal); } .wave { --kind: var(--amber); } .removal { --kind: var(--bad); }
@media print { body { background: none; } details { break-inside: avoid; } }
`;
