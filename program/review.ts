import * as pulumi from "@pulumi/pulumi";
import { reviewAccess } from "../cluster/access";
import type { KubeApi } from "../cluster/api";
import { reasonOf } from "../cluster/connection";
import type { Config } from "../config";
import { RefusedError } from "../plan/faults";
import { withPermissions, type Draft } from "../plan/linkerdReview";
import { permissionFaults } from "../plan/permissions";
import type { Review } from "../plan/review";
import { writeReview } from "../report/files";

/**
 * The review with what the API server says of permissions, written where the stack file asks for files.
 * @throws RefusedError with all that was found; missing permissions refuse an update, and preview lists them
 */
export async function reviewed(api: KubeApi, { report }: Config, draft: Draft): Promise<Review> {
    const permissions = await reviewAccess(api, draft.asked);
    const { refusals } = draft.review;
    const refuses = report.permissions === "refuse" && !pulumi.runtime.isDryRun();
    const all = [...refusals, ...(refuses ? permissionFaults(permissions) : [])];
    const review = { ...withPermissions(draft, permissions), refusals: all };
    await writeReview(review, report);
    if (all.length > 0) {
        throw new RefusedError(all);
    }
    return review;
}

/**
 * Marked secret, though it holds none: the CLI prints outputs in full with every preview and update, and this one has a
 * dozen lines for each workload.
 */
export function outputOf(review: Review) {
    return { review: pulumi.secret(review) };
}

export async function tell(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
        await pulumi.log.info(line);
    }
}

/** Preview may go on without the list of workloads; an update may not. */
export function unknownInPreview(error: unknown): string {
    const reason = reasonOf(error);
    return pulumi.runtime.isDryRun() ? reason : forbidden("the data plane")(error);
}

/** Turns an API server's refusal into a refusal of ours. */
export function forbidden(what: string) {
    return (error: unknown): never => {
        throw new RefusedError([
            {
                subject: `reading ${what}`,
                rule: `the API server does not answer it: ${reasonOf(error)}`,
                next: "kubectl auth can-i --list, and ask for the missing permission",
            },
        ]);
    };
}
