import * as pulumi from "@pulumi/pulumi";
import type { DataPlaneRollout } from "./dataPlane/rollout";

/** The waves' reports as text, and as the stack shows them. */
export function reportsOf(dataPlane: DataPlaneRollout) {
    const reports = pulumi.output(dataPlane.reports);
    const parsed = reports.apply((texts) =>
        Object.fromEntries(
            Object.entries(texts).map(([wave, text]) => [wave, JSON.parse(text) as unknown]),
        ),
    );
    return { reports, parsed };
}
