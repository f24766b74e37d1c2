import type { V1Secret } from "@kubernetes/client-node";
import { gzipSync } from "node:zlib";
import type { ChartValues } from "../../../config";

/** A revision as Helm keeps it: JSON, zipped, in base64, and once more in base64. */
export function helmRecord(
    release: string,
    revision: number,
    {
        chart = release,
        config = {},
    }: { readonly chart?: string; readonly config?: ChartValues } = {},
): V1Secret {
    const metadata = { name: chart, version: "2024.5.3" };
    const zipped = gzipSync(JSON.stringify({ config, chart: { metadata } })).toString("base64");
    return {
        metadata: {
            name: `sh.helm.release.v1.${release}.v${revision}`,
            labels: {
                owner: "helm",
                name: release,
                version: `${revision}`,
                status: "deployed",
            },
        },
        data: { release: Buffer.from(zipped).toString("base64") },
    };
}
