import type { LiveRelease } from "../cluster/adoption";
import type { ChartValues } from "../config";
import type { Fault } from "./faults";
import { settingsOf } from "./settings";
import { webhookSecret, WEBHOOKS } from "./webhooks";

/** Where the caBundle of a webhook of viz is served, by Service. */
const SERVED_BUNDLES: Readonly<Record<string, string>> = {
    tap: "apiservice v1alpha1.tap.linkerd.io -o jsonpath='{.spec.caBundle}'",
    "tap-injector":
        "mutatingwebhookconfiguration linkerd-tap-injector-webhook-config -o jsonpath='{.webhooks[0].clientConfig.caBundle}'",
};

const SUBJECT = "Helm release linkerd-viz/linkerd-viz";

/** Faults of a viz release that an earlier run left half-way. */
export function releaseFaults({
    release,
    viz,
}: {
    readonly release: Pick<LiveRelease, "revision" | "status"> | undefined;
    readonly viz: readonly unknown[];
}): readonly Fault[] {
    if (!release?.status.startsWith("pending-")) {
        return [];
    }
    const { revision, status } = release;
    const forget = `kubectl -n linkerd-viz delete secret sh.helm.release.v1.linkerd-viz.v${revision}`;
    const repair =
        revision > 1
            ? `helm -n linkerd-viz rollback linkerd-viz ${revision - 1} (or: ${forget})`
            : viz.length > 0
              ? // To uninstall would delete them: they may be those that were there before the release.
                `${forget} (the objects stay, and the next update takes them)`
              : `helm -n linkerd-viz uninstall linkerd-viz (or: ${forget})`;
    return [
        {
            subject: SUBJECT,
            value: status,
            rule: `revision ${revision} was interrupted; Helm refuses another operation on it`,
            next: `${repair}, then: pulumi up --refresh`,
        },
    ];
}

/**
 * Faults of a viz release whose values hold a private key. The provider reads the values of a release that it imports into
 * the state, in plaintext (pulumi-kubernetes, provider/pkg/provider/helm_release.go, Read).
 */
export function releaseKeyFaults(release: LiveRelease | undefined): readonly Fault[] {
    const keys = privateKeys(release?.config ?? {});
    if (!release || keys.length === 0) {
        return [];
    }
    const webhooks = WEBHOOKS.filter(
        ({ namespace, value }) => namespace === "linkerd-viz" && keys.includes(`${value}.keyPEM`),
    );
    const secrets = webhooks.map(({ service }) => webhookSecret(service));
    const settings = [
        ...webhooks.map(({ value }) => `${value}.externalSecret=true`),
        ...keys.map((key) => `${key}=`),
    ];
    // The chart makes up a caBundle where it has none, and with a Secret of its own it takes none.
    const bundles = webhooks.map(
        ({ service }) => `kubectl get ${SERVED_BUNDLES[service]} | base64 -d > ${service}-ca.crt`,
    );
    const files = webhooks.map(({ service, value }) => `${value}.caBundle=${service}-ca.crt`);
    const from = files.length > 0 ? ` --set-file ${files.join(",")}` : "";
    const keep = `kubectl -n linkerd-viz annotate secret ${secrets.join(" ")} helm.sh/resource-policy=keep --overwrite`;
    const upgrade = `helm -n linkerd-viz upgrade linkerd-viz CHART --reuse-values --set ${settings.join(",")}${from} (CHART: linkerd-viz ${release.chartVersion}, which runs)`;
    return [
        {
            subject: SUBJECT,
            value: keys.join(", "),
            rule: "holds private keys in its values, which would come into the state in plaintext when the release is taken over",
            next: [
                ...(secrets.length > 0
                    ? [`move them out of the values, into Secrets that stay: ${keep}`, ...bundles]
                    : []),
                upgrade,
                "pulumi preview",
            ].join("; then: "),
        },
    ];
}

/** Settings that hold a private key: `tap.keyPEM`. */
function privateKeys(values: ChartValues): string[] {
    return settingsOf(values)
        .filter(([, value]) => JSON.stringify(value).includes("PRIVATE KEY"))
        .map(([path]) => path.join("."));
}
