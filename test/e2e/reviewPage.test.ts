import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { istioOrder, linkerdOrder } from "../../plan/order";
import type { ControlPlaneRadius, Review } from "../../plan/review";
import { htmlPage } from "../../report/html/page";
import { dataPlaneOf, podOf, workloadOf } from "../unit/support/meshedPods";
import { NEW, OLD, radiusOf, reviewOf } from "../unit/support/reviews";
import { openBrowser, type Browser } from "./support/browser";
import { FLAWLESS, flawsOf } from "./support/picture";

const NASTY = `<img src="http://127.0.0.1:9/x.png" onerror="document.title='broken into'">`;
const LONG = "checkout-service-of-the-payments-team-in-europe-west-with-a-name-of-63";

const part = (namespace: string, name: string, change: "restarts" | "new" | "goes") => ({
    ...{ namespace, kind: "Deployment", name, pods: 3, from: OLD, to: NEW, change },
});
const controlPlane = (...workloads: ReturnType<typeof part>[]): ControlPlaneRadius => ({
    workloads,
    minutes: { least: 5, most: 10 },
    source: "a guide",
});
/** Twelve waves, each with workloads in several namespaces, names of all lengths. */
const names = Array.from({ length: 12 }, (_, index) => `wave-${index}`);
const dataPlane = dataPlaneOf({
    pods: names.flatMap((wave) =>
        ["web", LONG, "wwwwwwwwmmmmmmmm"].map((name, index) =>
            podOf({
                namespace: `${wave}-${index}-${LONG}`.slice(0, 63),
                name: `${name}-1`,
                owner: { kind: "Deployment", name: `${wave}-${name}` },
            }),
        ),
    ),
    workloads: names.flatMap((wave) =>
        ["web", LONG, "wwwwwwwwmmmmmmmm"].map((name, index) =>
            workloadOf({
                namespace: `${wave}-${index}-${LONG}`.slice(0, 63),
                name: `${wave}-${name}`,
                labels: { wave },
            }),
        ),
    ),
});
const radius = radiusOf(
    dataPlane,
    { waves: names.map((name) => ({ name, select: [{ workloadLabels: { wave: name } }] })) },
    {
        controlPlane: controlPlane(
            part("linkerd", "linkerd-destination", "restarts"),
            part("linkerd-viz", "metrics-api", "restarts"),
            part("istio-system", "istiod-1-27-1", "new"),
            part("istio-system", "istiod", "goes"),
            part("istio-ingress", LONG, "restarts"),
        ),
    },
);
const target = `${OLD} -> ${NEW}`;
const pages: Readonly<Record<string, Review>> = {
    "an upgrade of Linkerd in twelve waves": reviewOf({
        blastRadius: radius,
        order: linkerdOrder(
            { backup: "backups", crds: "to it", target, cni: true, viz: true },
            radius,
        ),
    }),
    "an upgrade of Istio with gateways and a removal": reviewOf({
        mesh: "istio",
        blastRadius: radius,
        order: istioOrder({ base: "1.27.1", namespace: "istio-system" }, radius),
    }),
    "a refused one whose texts are markup": reviewOf({
        context: NASTY,
        stack: NASTY,
        refusals: [{ subject: NASTY, value: NASTY, rule: NASTY, next: NASTY }],
        blastRadius: radiusOf(NASTY),
        order: [
            { kind: "wave", title: NASTY, detail: NASTY, parts: [{ name: NASTY, detail: NASTY }] },
            {
                kind: "check",
                title: "日本語のなまえ".repeat(20),
                detail: "W".repeat(300),
                parts: [],
            },
        ],
    }),
};

const browser: Browser | undefined = await openBrowser();
if (!browser) {
    console.log(
        "NOT RUN: no browser on PATH, and that of @sparticuz/chromium is not for this system",
    );
}

describe.runIf(browser)("the review's page in a real browser", () => {
    let folder: string;
    const open = async (text: string, width: number) => {
        const file = join(folder, "page.html");
        await writeFile(file, text);
        return (browser as Browser).open(file, { width, height: 900 });
    };

    beforeAll(async () => {
        console.log(`looked at in ${browser?.name}`);
        folder = await mkdtemp(join(tmpdir(), "mesh-page-"));
    });
    afterAll(async () => {
        await browser?.close();
        await rm(folder, { recursive: true, force: true });
    });

    for (const [name, review] of Object.entries(pages)) {
        it.each([1280, 801, 390])(
            `${name}: sends nothing, complains of nothing, overlaps nowhere, at %i pixels`,
            async (width) => {
                const { page, requests, complaints } = await open(htmlPage(review), width);
                expect(requests).toEqual([expect.stringMatching(/^file:.*\/page\.html$/)]);
                expect(complaints).toEqual([]);
                const { boxes, ...flaws } = await flawsOf(page);
                expect(flaws).toEqual(FLAWLESS);
                const parts = review.order.reduce((sum, one) => sum + one.parts.length, 0);
                expect(boxes).toBe(review.order.length + parts);
                expect(await page.evaluate("document.querySelectorAll('img, script').length")).toBe(
                    0,
                );
                expect(await page.title()).not.toBe("broken into");
                const text = (await page.evaluate("document.body.innerText")) as string;
                expect(text).toContain(review.context);
                await page.close();
            },
        );
    }

    it("would tell: of a page that loads, that complains, and whose boxes and texts leave their place", async () => {
        const [first] = Object.values(pages);
        const text = htmlPage(first as Review)
            .replace("</main>", "<img src='http://127.0.0.1:9/x.png'></main>")
            .replace(/<rect class="box" x="2" y="94"/g, '<rect class="box" x="2" y="20"')
            .replace(/font-size: 15px; font-weight: 650; }\n\.part/, "font-size: 150px; }\n.part");
        const { page, complaints } = await open(text, 1280);
        // The changed style sheet is not the one that the policy allows.
        expect(complaints.filter((one) => one.includes("Content Security Policy"))).toHaveLength(2);
        const { overlaps } = await flawsOf(page);
        expect(overlaps).not.toEqual([]);
        const free = text.replace(/<meta http-equiv[^>]*>/, "");
        const loose = await open(free, 1280);
        expect(loose.requests).toContain("http://127.0.0.1:9/x.png");
        expect((await flawsOf(loose.page)).outside).not.toEqual([]);
    });
});
