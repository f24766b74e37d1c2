// Runs in the page, as text: measures what shows of it, with the browser's own boxes (picture.ts).
/* global document, getComputedStyle */
(() => {
    const rect = (one) => one.getBoundingClientRect();
    const all = (selector) =>
        [...document.querySelectorAll(selector)].filter((one) => rect(one).width > 0);
    const nameOf = (one) =>
        `${one.closest("g")?.querySelector("title")?.textContent ?? ""}${one.textContent}`;
    const meet = (a, b) =>
        a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const inside = (a, b) =>
        a.left >= b.left - 0.5 &&
        a.right <= b.right + 0.5 &&
        a.top >= b.top - 0.5 &&
        a.bottom <= b.bottom + 0.5;
    const overlapsOf = (boxes) =>
        boxes.flatMap((one, index) =>
            boxes
                .slice(index + 1)
                .filter((other) => meet(rect(one), rect(other)))
                .map((other) => `${nameOf(one)} / ${nameOf(other)}`),
        );
    /** Of a text its own group's box, of a part's box the stage's. */
    const around = (one) => {
        const group = one.closest("g");
        const holder = one.tagName === "rect" ? group.parentElement : group;
        return holder.querySelector(":scope > .box") ?? one.closest("svg");
    };
    const shownSize = (one) =>
        parseFloat(getComputedStyle(one).fontSize) * (one.getScreenCTM?.().a ?? 1);
    const stages = all(".stage > .box");
    const parts = all(".part > .box");
    return {
        boxes: stages.length + parts.length,
        overlaps: [...overlapsOf(stages), ...overlapsOf(parts)],
        outside: all(".picture .box, .picture text")
            .filter((one) => !inside(rect(one), rect(around(one))))
            .map(nameOf),
        invisible: [...document.querySelectorAll(".picture text, td, h1, dd")]
            .filter((one) => one.textContent.trim() !== "")
            .filter((one) => rect(one.closest("svg, .scroll, main")).width > 0)
            .filter((one) => !one.closest("details:not([open])"))
            .filter((one) => rect(one).width === 0 || rect(one).height < 8)
            .map(nameOf),
        tiny: all(".picture text, td, th, li, p")
            .filter((one) => shownSize(one) < 9)
            .map(nameOf),
        wide: all("body *")
            .filter((one) => !one.closest(".scroll *"))
            .filter((one) => rect(one).right > document.documentElement.clientWidth)
            .map((one) => `${one.tagName} ${one.getAttribute("class") ?? ""}`),
    };
})();
