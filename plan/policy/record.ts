/**
 * Annotation on the control plane's namespace with every version that ran in it since this program looks after it, the live
 * one included: `edge-24.5.3,edge-24.7.5`. Going back to one of them is a revert, to any other a downgrade.
 */
export const VERSIONS_ANNOTATION = "mesh-upgrade/versions";

/** The versions of the annotation; none where there is none. */
export function readRecord(text: string | undefined): readonly string[] {
    return (text ?? "").split(",").filter((one) => one !== "");
}

/** The annotation's text, the same for the same versions in whatever order. */
export function recordText(versions: readonly (string | undefined)[]): string {
    const known = versions.filter((one) => one !== undefined && one !== "");
    return [...new Set(known)].sort().join(",");
}
