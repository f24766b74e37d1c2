import { isFault, parseLinkerdVersion, type LinkerdVersion } from "../../../plan/versions";

/** A release that the version line may name. */
export function versionAt(tag: string): LinkerdVersion {
    const version = parseLinkerdVersion(tag);
    if (isFault(version)) {
        throw new Error(`${tag}: ${version.rule}`);
    }
    return version;
}
