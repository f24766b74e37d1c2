import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ReportConfig } from "../plan/reportConfig";
import type { Review } from "../plan/review";
import { htmlPage } from "./html/page";

/** Writes the review where the stack file asks for it; a refused one as well. A file is there whole, or not at all. */
export async function writeReview(review: Review, { html, json }: ReportConfig): Promise<void> {
    if (html !== undefined) {
        await replaceFile(html, htmlPage(review));
    }
    if (json !== undefined) {
        await replaceFile(json, `${JSON.stringify(review, null, 4)}\n`);
    }
}

async function replaceFile(path: string, text: string): Promise<void> {
    const half = `${path}.${process.pid}.tmp`;
    await mkdir(dirname(path), { recursive: true });
    try {
        await writeFile(half, text);
        await rename(half, path);
    } catch (error) {
        await rm(half, { force: true });
        throw error;
    }
}
