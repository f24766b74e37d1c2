import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Stage } from "../../plan/review";
import { writeReview } from "../../report/files";
import { clip, layoutOf, type Box } from "../../report/html/layout";
import { html, Markup } from "../../report/html/markup";
import { htmlPage } from "../../report/html/page";
import { reviewOf } from "./support/reviews";

const stages = (counts: readonly number[]): Stage[] =>
    counts.map((count, index) => ({
        kind: "wave",
        title: `Wave ${index}`,
        detail: "",
        parts: Array.from({ length: count }, (_, part) => ({ name: `${part}`, detail: "" })),
    }));
const meet = (a: Box, b: Box) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const holds = (outer: Box, inner: Box) =>
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height;

describe("the picture of an update", () => {
    it("has no two boxes that overlap, and none outside, however many stages and parts there are", () => {
        const counts = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 });
        const shape = fc.constantFrom([760, 3], [330, 1]);
        fc.assert(
            fc.property(counts, shape, (some, [width = 0, columns = 0]) => {
                const layout = layoutOf(stages(some), width, columns);
                const whole = { x: 0, y: 0, width: layout.width, height: layout.height };
                layout.stages.forEach((one, index) => {
                    expect(holds(whole, one)).toBe(true);
                    const later = layout.stages.slice(index + 1);
                    expect(later.some((other) => meet(one, other))).toBe(false);
                    one.parts.forEach((part, place) => {
                        expect(holds(one, part)).toBe(true);
                        const others = one.parts.slice(place + 1);
                        expect(others.some((other) => meet(part, other))).toBe(false);
                    });
                });
            }),
        );
    });

    it.each([
        ["web", 100, "web"],
        ["checkout-service", 60, "checko…"],
        ["日本語のなまえ", 60, "日本語…"],
        ["anything", 0, "…"],
    ])("cuts %s to %i pixels of 12: %s", (text, width, expected) => {
        expect(clip(text, width, 12)).toBe(expected);
    });
});

describe("the page", () => {
    const NASTY = `<img src=x onerror="alert('&')">\u001b[31m`;
    const SAFE = "&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;\ufffd[31m";

    it("escapes what is put into it, in texts and attributes, and control characters", () => {
        expect(html`<p title="${NASTY}">${NASTY}</p>`.text).toBe(`<p title="${SAFE}">${SAFE}</p>`);
        expect(html`${[new Markup("<b>")]}${undefined}${0}${null}`.text).toBe("<b>0");
    });

    it("shows no text of the review as markup, whichever it is", () => {
        const certificate = { name: NASTY, subject: NASTY, sha256: NASTY, verdict: NASTY };
        const text = htmlPage(
            reviewOf({
                stack: NASTY,
                context: NASTY,
                refusals: [{ subject: NASTY, value: NASTY, rule: NASTY, next: NASTY }],
                certificates: [{ ...certificate, notBefore: NASTY, notAfter: NASTY }],
                order: [
                    {
                        ...{ kind: "wave", title: NASTY, detail: NASTY },
                        parts: [{ name: NASTY, detail: NASTY }],
                    },
                ],
                permissions: { asked: 0, missing: [], maybe: [], unknown: NASTY },
                path: {
                    verdict: "overridden",
                    steps: [NASTY],
                    rules: [{ id: NASTY, text: NASTY, source: NASTY, broken: true }],
                },
                notices: [
                    {
                        ...{ id: NASTY, since: NASTY, title: NASTY, action: NASTY },
                        ...{ source: NASTY, applies: "yes", evidence: [NASTY] },
                        ...{ blocking: true, acknowledged: false },
                    },
                ],
                checks: [
                    {
                        ...{ id: NASTY, category: NASTY, severity: "fatal", result: "failed" },
                        ...{ message: NASTY, hint: NASTY },
                    },
                ],
            }),
        );
        expect(text).toContain(SAFE);
        expect(text).not.toContain("<img");
        expect(text).not.toContain("\u001b");
    });

    it("allows nothing but its own style sheet, which it names by its hash", () => {
        const text = htmlPage(reviewOf());
        const sheet = /<style>([^]*?)<\/style>/.exec(text)?.[1] ?? "";
        const hash = createHash("sha256").update(sheet).digest("base64");
        expect(text).toContain(
            `content="default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;"`,
        );
        expect(text).not.toMatch(/<(script|link|img|iframe)|\sstyle=|https?:\/\//);
    });

    it("begins with the refusals, and with what to look at where there is none", () => {
        const refused = htmlPage(
            reviewOf({ refusals: [{ subject: "issuer", rule: "has expired", next: "renew it" }] }),
        );
        expect(refused).toMatch(/Refused: nothing was changed\.[^]*issuer:\s+has expired/);
        const unknown = htmlPage(reviewOf());
        expect(unknown).toContain("The data plane is unknown: pods is forbidden");
    });
});

it("files are written where the stack file asks for them, whole, folders included", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mesh-review-"));
    const config = { workloads: "short", permissions: "refuse" } as const;
    try {
        await writeReview(reviewOf(), config);
        expect(await readdir(folder)).toEqual([]);
        const [page, json] = [join(folder, "a", "b.html"), join(folder, "a", "b.json")];
        for (const stack of ["one", "two"]) {
            await writeReview(reviewOf({ stack }), { ...config, html: page, json });
            expect(await readFile(page, "utf8")).toContain(`stack ${stack}`);
            expect(JSON.parse(await readFile(json, "utf8"))).toEqual(reviewOf({ stack }));
        }
        expect(await readdir(join(folder, "a"))).toEqual(["b.html", "b.json"]);
    } finally {
        await rm(folder, { recursive: true });
    }
});
