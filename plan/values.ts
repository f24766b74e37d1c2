import type { ChartValues } from "../config";
import type { PlannedExtension } from "./extensions";
import type { Fault } from "./faults";
import { ISSUED_AT, type Identity, type IdentityByCertManager } from "./identity";
import type { LinkerdVersion } from "./versions";
import { WEBHOOKS, type WebhookCertificates } from "./webhooks";

/** Chart values that the program derives; a stack file that sets one contradicts it. */
export const DERIVED: Readonly<Record<"crds" | "controlPlane" | "viz", readonly string[]>> = {
    crds: ["linkerdVersion"],
    controlPlane: [
        "linkerdVersion",
        "identityTrustAnchorsPEM",
        "identity.externalCA",
        "identity.issuer.scheme",
        "identity.issuer.tls",
        ...certificateValues("linkerd"),
    ],
    viz: ["linkerdVersion", ...certificateValues("linkerd-viz")],
};

/** The same of the extensions' charts. */
export const DERIVED_OF_EXTENSIONS: Readonly<Record<PlannedExtension["name"], readonly string[]>> =
    {
        smi: [],
        multicluster: ["linkerdVersion"],
        jaeger: ["linkerdVersion", ...certificateValues("linkerd-jaeger")],
    };

function certificateValues(namespace: string): string[] {
    return WEBHOOKS.filter((one) => one.namespace === namespace).flatMap(({ value }) =>
        [
            "externalSecret",
            "caBundle",
            "crtPEM",
            "keyPEM",
            "injectCaFrom",
            "injectCaFromSecret",
        ].map((key) => `${value}.${key}`),
    );
}

/** A fault for each derived value that the stack file sets. */
export function valueFaults(
    values: Readonly<Record<keyof typeof DERIVED, ChartValues>>,
): readonly Fault[] {
    return Object.entries(DERIVED).flatMap(([section, paths]) =>
        derivedFaults(section, values[section as keyof typeof DERIVED], paths),
    );
}

/** The same for the values of one `section` of the stack file: `extensions.jaeger`. */
export function derivedFaults(
    section: string,
    values: ChartValues,
    paths: readonly string[],
): readonly Fault[] {
    return paths
        .filter((path) => at(values, path) !== undefined)
        .map((path) => ({
            subject: `${section}.values.${path}`,
            rule: "is derived by the program (from linkerdVersion, identity and its own certificates)",
            next: `remove ${path} from ${section}.values`,
        }));
}

/** Values of the chart linkerd-crds. */
export function crdValues(values: ChartValues, version: LinkerdVersion): ChartValues {
    return merge(values, { linkerdVersion: version.tag });
}

/**
 * Values of the chart linkerd-control-plane. No render may differ from the last one for the same input:
 * certificates stand in Secrets of the stack's, and the heartbeat's schedule, by default the minute of the
 * render, derives from the cluster's uid, which also spreads clusters over the day.
 */
export function controlPlaneValues(
    values: ChartValues,
    version: LinkerdVersion,
    identity: Pick<
        Identity | IdentityByCertManager,
        "scheme" | "trustAnchors" | "issuer" | "issuedAt"
    >,
    webhooks: WebhookCertificates,
    clusterUid: string,
): ChartValues {
    const seed = Number.parseInt(clusterUid.replace(/[^0-9a-f]/g, "").slice(0, 8) || "0", 16);
    // linkerd-config of the CLI has an empty one where none was set.
    const schedule =
        (at(values, "heartbeatSchedule") as string | undefined) ||
        `${seed % 60} ${Math.floor(seed / 60) % 24} * * *`;
    return merge(
        values,
        {
            heartbeatSchedule: schedule,
            linkerdVersion: version.tag,
            identityTrustAnchorsPEM: identity.trustAnchors,
            identity: { issuer: issuerValues(identity) },
            // Another issuer: the identity service starts anew, so that it is served before any workload restarts.
            ...(identity.issuedAt === undefined
                ? {}
                : { podAnnotations: { [ISSUED_AT]: identity.issuedAt } }),
        },
        certificatesOf("linkerd", webhooks),
    );
}

/**
 * The issuer's key never is a value: values stand in plaintext in the state. The chart that wants one gets a placeholder,
 * and its Secret is dropped (charts/orderManifests.ts) for the one that the stack declares.
 */
function issuerValues({
    scheme,
    issuer,
}: Pick<Identity | IdentityByCertManager, "scheme" | "issuer">): ChartValues {
    return scheme === "kubernetes.io/tls" || issuer === undefined
        ? { scheme }
        : { scheme, tls: { crtPEM: issuer.certificate, keyPEM: "in the Secret of the stack" } };
}

/** Values of the chart linkerd-viz. */
export function vizValues(
    values: ChartValues,
    version: LinkerdVersion,
    webhooks: WebhookCertificates,
): ChartValues {
    return merge(values, { linkerdVersion: version.tag }, certificatesOf("linkerd-viz", webhooks));
}

/** Values of the chart of another extension. A gateway tells other clusters its identity, which is of the mesh's trust domain. */
export function extensionValues(
    { name, values }: Pick<PlannedExtension, "name" | "values">,
    {
        version,
        trustDomain,
        webhooks,
    }: {
        readonly version: LinkerdVersion;
        readonly trustDomain: string;
        readonly webhooks: WebhookCertificates;
    },
): ChartValues {
    const linkerdVersion = version.tag;
    switch (name) {
        case "smi":
            return values;
        case "multicluster":
            return merge({ identityTrustDomain: trustDomain }, values, { linkerdVersion });
        case "jaeger":
            return merge(values, { linkerdVersion }, certificatesOf("linkerd-jaeger", webhooks));
    }
}

function certificatesOf(namespace: string, webhooks: WebhookCertificates): ChartValues {
    return Object.fromEntries(
        WEBHOOKS.filter((one) => one.namespace === namespace).map(({ value, service }) => [
            value,
            { externalSecret: true, caBundle: webhooks.bundles[service] },
        ]),
    );
}

/** Merges maps by key, later ones first; lists and scalars are replaced, as Helm does. */
export function merge(...all: readonly ChartValues[]): ChartValues {
    return all.reduce<Record<string, unknown>>((into, values) => {
        const merged = { ...into };
        for (const [key, value] of Object.entries(values)) {
            const before = merged[key];
            merged[key] = isMap(before) && isMap(value) ? merge(before, value) : value;
        }
        return merged;
    }, {});
}

/** The value at a dotted path; undefined where there is none. */
export function at(values: unknown, path: string): unknown {
    return path
        .split(".")
        .reduce<unknown>((value, key) => (isMap(value) ? value[key] : undefined), values);
}

/** Whether a value is a map of values. */
export function isMap(value: unknown): value is ChartValues {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
