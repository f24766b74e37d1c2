import { isMap, parseAllDocuments } from "yaml";
import { CHECKSUMS_ANNOTATION } from "../plan/adoption";

const ANNOTATIONS = ["spec", "template", "metadata", "annotations"];

/**
 * A viz that is taken over at the version that runs goes on with the certificates that it has. They move out of the chart,
 * and with them the checksum in the pod templates moves, which would restart tap for nothing. The checksums to keep stand
 * in an annotation of all pods, which is taken away here. Scalars are read as text only (the failsafe schema), see
 * charts/postRender.ts.
 */
export function keepChecksums(stream: string): string {
    if (!stream.includes(CHECKSUMS_ANNOTATION)) {
        return stream;
    }
    return parseAllDocuments(stream, { schema: "failsafe", uniqueKeys: false })
        .filter((one) => isMap(one.contents))
        .map((manifest) => {
            const kept = manifest.getIn([...ANNOTATIONS, CHECKSUMS_ANNOTATION]);
            if (typeof kept === "string") {
                const checksums = JSON.parse(kept) as Record<string, string>;
                const checksum = checksums[manifest.getIn(["metadata", "name"]) as string];
                manifest.deleteIn([...ANNOTATIONS, CHECKSUMS_ANNOTATION]);
                if (checksum !== undefined) {
                    manifest.setIn([...ANNOTATIONS, "checksum/config"], checksum);
                }
            }
            return manifest.toString({ lineWidth: 0 });
        })
        .map((one) => (one.startsWith("---") ? one : `---\n${one}`))
        .join("");
}
