import type { Fault } from "./faults";

/** A release of Linkerd of either channel, as it may be found in a cluster. */
export interface LinkerdRelease {
    /** As users write it and as images are tagged: `edge-24.7.5`, `stable-2.14.10`. */
    readonly tag: string;
    readonly channel: "edge" | "stable";
    /** `[24, 7, 5]`, `[2, 14, 10]` */
    readonly numbers: readonly [number, number, number];
    /** Of Linkerd 2: 15 for 2.15. An edge has that of the newest marker which it includes. */
    readonly minor: number;
}

/** The edge with which a minor began. */
interface Marker {
    readonly minor: number;
    readonly edge: readonly [number, number, number];
    /** The release to go through: the last stable one where there is any, else the marker. */
    readonly hop: string;
}

/**
 * Since 2.15 a minor is announced as an edge (linkerd.io/releases). Before, a stable release follows the edges that it is
 * made of: the last of them is the marker (CHANGES.md of linkerd2). The charts of 2.15's marker have numbers of their own
 * (plan/versions.ts), so the way goes through a later edge of it.
 */
const MARKERS: readonly Marker[] = [
    { minor: 11, edge: [21, 9, 5], hop: "stable-2.11.5" },
    { minor: 12, edge: [22, 8, 2], hop: "stable-2.12.6" },
    { minor: 13, edge: [23, 4, 1], hop: "stable-2.13.7" },
    { minor: 14, edge: [23, 8, 3], hop: "stable-2.14.10" },
    { minor: 15, edge: [24, 2, 4], hop: "edge-24.7.5" },
    { minor: 16, edge: [24, 8, 2], hop: "edge-24.8.2" },
    { minor: 17, edge: [24, 11, 8], hop: "edge-24.11.8" },
    { minor: 18, edge: [25, 4, 4], hop: "edge-25.4.4" },
    { minor: 19, edge: [25, 10, 7], hop: "edge-25.10.7" },
    { minor: 20, edge: [26, 6, 3], hop: "edge-26.6.3" },
];

/** What an edge of before the first marker counts as. */
const BEFORE_MARKERS = 10;

const PARTS =
    /^(?:edge-([1-9]\d)\.([1-9]|1[0-2])\.([1-9]\d*)|stable-(2)\.(0|[1-9]\d*)\.(0|[1-9]\d*))$/;

/** Reads `edge-24.7.5` or `stable-2.14.10`; a fault about `subject` for any other text, release candidates among them. */
export function parseRelease(text: string, subject: string): LinkerdRelease | Fault {
    return (
        releaseOf(text) ?? {
            subject,
            value: text,
            rule: "a release of Linkerd reads edge-YY.M.N (year, month 1-12, number) or stable-2.MINOR.PATCH, without leading zeros",
            next: "linkerd.io/releases lists them",
        }
    );
}

/** The release, or undefined for a text that is none. */
export function releaseOf(text = ""): LinkerdRelease | undefined {
    const [whole, ...groups] = PARTS.exec(text) ?? [];
    const [a = NaN, b = NaN, c = NaN] = groups.filter((one) => one !== undefined).map(Number);
    if (whole === undefined || !Number.isSafeInteger(b) || !Number.isSafeInteger(c)) {
        return undefined;
    }
    const numbers = [a, b, c] as const;
    return text.startsWith("stable-")
        ? { tag: text, channel: "stable", numbers, minor: b }
        : { tag: text, channel: "edge", numbers, minor: minorOfEdge(numbers) };
}

/**
 * Negative, zero or positive, as releases follow one another: by minor, then by number. So a stable release (2.14.10) comes
 * before the edges of its minor (23.9.1), which went on from it.
 */
export function compareReleases(a: LinkerdRelease, b: LinkerdRelease): number {
    return a.minor - b.minor || compareNumbers(a.numbers, b.numbers);
}

/** Whether a release is `marker` or one that came after it; false for a text that is no release. */
export function reaches(tag: string | undefined, marker: string): boolean {
    const [release, mark] = [releaseOf(tag), releaseOf(marker)];
    return release !== undefined && mark !== undefined && compareReleases(release, mark) >= 0;
}

/** The release to go through for a minor; undefined: not known. */
export function hopOf(minor: number): string | undefined {
    return MARKERS.find((one) => one.minor === minor)?.hop;
}

function minorOfEdge(numbers: readonly number[]): number {
    return (
        MARKERS.findLast(({ edge }) => compareNumbers(edge, numbers) <= 0)?.minor ?? BEFORE_MARKERS
    );
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
    return a.map((one, index) => one - (b[index] ?? 0)).find((one) => one !== 0) ?? 0;
}
