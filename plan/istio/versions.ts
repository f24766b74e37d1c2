import * as semver from "semver";
import type { Fault } from "../faults";
import { joined, NOTHING, RULES, ruled, type Findings } from "../policy/rules";
import { isFault } from "../versions";

/** A release of Istio (`1.27.1`) or of Anthos Service Mesh (`1.6.14-asm.2`). */
export interface IstioVersion {
    /** As users write it and as images are tagged. */
    readonly text: string;
    readonly kind: "istio" | "asm";
    /** `1.27` */
    readonly minor: string;
    /** `1.27.1`; without the build of ASM, so that semver can compare it. */
    readonly semver: string;
    /** `2` of `1.6.14-asm.2`; undefined for Istio. */
    readonly build: number | undefined;
}

/**
 * `1.27.1` or `1.6.14-asm.2`; a fault about `subject` where the text is no such version. Pre-releases (`1.27.0-rc.1`) are
 * refused: nobody supports an upgrade from or to one.
 */
export function parseIstioVersion(text: string, subject: string): IstioVersion | Fault {
    const match = /^(1\.(?:0|[1-9]\d*))\.(?:0|[1-9]\d*)(?:-asm\.(0|[1-9]\d*))?$/.exec(text);
    const plain = text.replace(/-asm\.\d+$/, "");
    const [, minor, build] = match ?? [];
    if (minor === undefined || !semver.valid(plain) || !Number.isSafeInteger(Number(build ?? 0))) {
        const prerelease = /^1\.\d+\.\d+-(?!asm)/.test(text);
        return {
            subject,
            value: text,
            rule: prerelease
                ? "is a pre-release; only releases are supported"
                : "an Istio version reads 1.MINOR.PATCH, one of Anthos Service Mesh 1.MINOR.PATCH-asm.BUILD, without leading zeros",
            next: `set ${subject} to a release such as 1.27.1 or 1.6.14-asm.2`,
        };
    }
    return {
        text,
        kind: build === undefined ? "istio" : "asm",
        minor,
        semver: plain,
        build: build === undefined ? undefined : Number(build),
    };
}

/**
 * The release that a running image's tag begins with: a vendor's `1.20.8-solo` or a pre-release behaves as 1.20.8 does.
 * Undefined for any other tag.
 */
export function runningIstio(tag: string | undefined): IstioVersion | undefined {
    const [start = ""] = /^1\.\d+\.\d+(?:-asm\.\d+)?(?![\w])/.exec(tag ?? "") ?? [];
    const version = parseIstioVersion(start, "tag");
    return isFault(version) ? undefined : version;
}

/**
 * The name that the guides give a revision: `1-27-1`; for ASM `asm-1614-2`. It cannot be read back (`asm-1102-3` may be
 * 1.1.02 or 1.10.2), so the version is kept beside it.
 */
export function revisionName({ kind, semver: plain, build }: IstioVersion): string {
    return kind === "asm"
        ? `asm-${plain.replaceAll(".", "")}-${build ?? 0}`
        : plain.replaceAll(".", "-");
}

/** Negative, zero or positive, as releases follow one another; the build of ASM counts, Istio comes before ASM. */
export function compareIstio(a: IstioVersion, b: IstioVersion): number {
    return semver.compare(a.semver, b.semver) || Math.sign((a.build ?? -1) - (b.build ?? -1));
}

/** The latest of the releases; undefined for none. */
export function latestIstio(versions: readonly IstioVersion[]): IstioVersion | undefined {
    return versions.reduce<IstioVersion | undefined>(
        (best, version) => (best && compareIstio(best, version) >= 0 ? best : version),
        undefined,
    );
}

/** Whether a release is of this minor (`1.10`) or newer. */
export function isFrom(version: Pick<IstioVersion, "minor">, minor: string): boolean {
    return minorNumber(version.minor) >= minorNumber(minor);
}

/** `1.27` -> 27. */
function minorNumber(minor: string): number {
    return Number(minor.split(".")[1]);
}

/** Minors of Kubernetes that a minor of Istio was tested with, `min` and `max` inclusive; absent: not known. */
const TESTED: Readonly<Record<string, readonly [min: number, max: number]>> = {
    "1.6": [15, 18],
    "1.7": [16, 18],
    "1.8": [16, 19],
    "1.9": [17, 20],
    "1.10": [18, 21],
    "1.11": [18, 22],
    "1.12": [19, 22],
    "1.13": [20, 23],
    "1.14": [21, 24],
    "1.15": [22, 25],
    "1.16": [22, 25],
    "1.17": [23, 26],
    "1.18": [24, 27],
    "1.19": [25, 28],
    "1.20": [25, 29],
    "1.21": [26, 29],
    "1.22": [27, 30],
    "1.23": [27, 30],
    "1.24": [28, 31],
    "1.25": [29, 32],
    "1.26": [29, 33],
    "1.27": [29, 33],
    "1.28": [30, 34],
    "1.29": [31, 35],
};

/** Minor of Kubernetes under which istioctl of that minor refuses to install. */
const MINIMUM: Readonly<Record<string, number>> = {
    "1.24": 28,
    "1.25": 29,
    "1.26": 29,
    "1.27": 29,
    "1.28": 30,
    "1.29": 30,
    "1.30": 32,
    "1.31": 32,
};

/** From this minor on, all objects are of versions that newer API servers go on to serve. */
const TOLERATES_NEWER = "1.26";

/** Releases before the table made the same v1beta1 objects as 1.6, which Kubernetes 1.22 no longer serves. */
const BEFORE_TABLE: readonly [number, number] = [0, 21];

/**
 * Whether a release runs on an API server of `serverVersion` (`v1.34.4`, `v1.30.4-eks-1`). Below the minimum: a fault. Newer
 * than tested: a fault before Istio 1.26, a warning from then on. A minor that is not known yet passes. With
 * `kubernetes-range` among the overrides each fault is a warning.
 */
export function kubernetesFaults(
    version: IstioVersion,
    serverVersion: string,
    overrides: ReadonlySet<string>,
): Findings {
    const server = semver.coerce(serverVersion);
    const tested = TESTED[version.minor] ?? (isFrom(version, "1.6") ? undefined : BEFORE_TABLE);
    const minimum = MINIMUM[version.minor] ?? tested?.[0] ?? 0;
    const subject = `istio ${version.text}`;
    const problem = (rule: string, next: string): Findings =>
        ruled(RULES.kubernetes, { subject, value: serverVersion, rule, next }, overrides);
    if (!server) {
        return problem("the version of the API server cannot be read", "kubectl version");
    }
    if (server.major > 1 && tested) {
        return newer(problem, version, serverVersion, tested[1]);
    }
    if (server.major === 1 && server.minor < minimum) {
        return problem(
            `Istio ${version.minor} needs Kubernetes 1.${minimum} or newer`,
            "upgrade the cluster first, or choose an older version",
        );
    }
    if (tested && server.minor > tested[1]) {
        return newer(problem, version, serverVersion, tested[1]);
    }
    return {
        ...NOTHING,
        warnings: belowTested(version, serverVersion, server.minor, tested),
    };
}

function newer(
    problem: (rule: string, next: string) => Findings,
    version: IstioVersion,
    serverVersion: string,
    max: number,
): Findings {
    return isFrom(version, TOLERATES_NEWER)
        ? {
              ...NOTHING,
              warnings: [
                  `istio ${version.text} was tested with Kubernetes up to 1.${max}; the cluster runs ${serverVersion}`,
              ],
          }
        : problem(
              `Istio ${version.minor} runs on Kubernetes up to 1.${max}`,
              "choose a newer version",
          );
}

function belowTested(
    version: IstioVersion,
    serverVersion: string,
    minor: number,
    tested: readonly [number, number] | undefined,
): string[] {
    return tested && minor < tested[0]
        ? [
              `istio ${version.text} was tested with Kubernetes from 1.${tested[0]} on; the cluster runs ${serverVersion}`,
          ]
        : [];
}

/**
 * Whether `to` may be reached from each of the control planes that run now (`from`; none for a first install). Going back is
 * held to the same distance. An override of a rule's id turns its fault into a warning that names the rule.
 */
export function pathFaults({
    from,
    to,
    overrides,
}: {
    readonly from: readonly IstioVersion[];
    readonly to: IstioVersion;
    readonly overrides: ReadonlySet<string>;
}): Findings {
    const origins = [...new Map(from.map((one) => [one.text, one])).values()];
    const found = origins.flatMap((one) => [
        stepFindings(one, to, overrides),
        originFindings(one, to, overrides),
        kindFindings(one, to),
    ]);
    return joined(found);
}

/** The distance in minors: one where either is ASM, else two. */
function stepFindings(
    from: IstioVersion,
    to: IstioVersion,
    overrides: ReadonlySet<string>,
): Findings {
    const asm = from.kind === "asm" || to.kind === "asm";
    const most = asm ? 1 : 2;
    const [start, end] = [minorNumber(from.minor), minorNumber(to.minor)];
    if (Math.abs(end - start) <= most) {
        return NOTHING;
    }
    const through = `1.${start + Math.sign(end - start) * most}`;
    const rule = asm ? RULES.asmOneMinor : RULES.istioTwoMinors;
    return ruled(rule, pathFault(from, to, rule.text, `go through ${through}`), overrides);
}

/** ASM 1.6.14 and later of 1.6, on the way up. */
function originFindings(
    from: IstioVersion,
    to: IstioVersion,
    overrides: ReadonlySet<string>,
): Findings {
    const least = { "1.5": "1.5.4", "1.6": "1.6.4" }[from.minor];
    const held = to.kind === "asm" && to.minor === "1.6" && semver.gte(to.semver, "1.6.14");
    if (!held || least === undefined || semver.gte(from.semver, least)) {
        return NOTHING;
    }
    const rule = RULES.asm1614;
    const next = `upgrade to the latest ${from.minor} first`;
    return ruled(rule, pathFault(from, to, rule.text, next), overrides);
}

function kindFindings(from: IstioVersion, to: IstioVersion): Findings {
    return from.kind === to.kind
        ? NOTHING
        : {
              ...NOTHING,
              warnings: [
                  `${from.text} -> ${to.text} changes between Istio and Anthos Service Mesh: a change of the CA means downtime`,
              ],
          };
}

function pathFault(from: IstioVersion, to: IstioVersion, rule: string, next: string): Fault {
    return { subject: "istio.revisions", value: `${from.text} -> ${to.text}`, rule, next };
}
