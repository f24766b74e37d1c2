import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { z } from "zod";

const names = z.array(z.string());
const flaws = z.strictObject({
    boxes: z.number(),
    /** Boxes that share a point, though neither is meant to hold the other. */
    overlaps: names,
    /** Boxes and texts that leave the box around them. */
    outside: names,
    /** Texts that are drawn with no size. */
    invisible: names,
    /** Texts of fewer than 9 pixels. */
    tiny: names,
    /** Parts of the page that are wider than the window. */
    wide: names,
});

/** What is wrong with a page as it is drawn; every list is empty on a good one. */
export type Flaws = z.infer<typeof flaws>;

/** Measures the picture that shows, and how many boxes it has. */
export async function flawsOf(page: Page): Promise<Flaws> {
    const script = await readFile(join(import.meta.dirname, "flaws.browser.mjs"), "utf8");
    return flaws.parse(await page.evaluate(script));
}

/** Nothing is wrong. */
export const FLAWLESS = { overlaps: [], outside: [], invisible: [], tiny: [], wide: [] };
