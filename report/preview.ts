import type { Review } from "../plan/review";
import { blastRadiusLines, type Length } from "./blastRadius";
import { certificateLines } from "./certificates";
import { checkLines } from "./checks";
import { permissionLines } from "./permissions";
import { noticeLines, pathLines } from "./policy";

/** What preview and update say before the engine's own list of changes. */
export function previewLines(
    plan: { readonly lines: readonly string[] },
    review: Review,
    length: Length = "short",
): string[] {
    return [
        ...plan.lines,
        ...pathLines(review.path),
        ...noticeLines(review.notices),
        ...checkLines(review.checks),
        ...certificateLines(review.certificates),
        ...blastRadiusLines(review.blastRadius, length),
        ...permissionLines(review.permissions, length),
    ];
}
