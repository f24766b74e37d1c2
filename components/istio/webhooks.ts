/** Where the webhooks of a revision are served. */
export interface Served {
    /** The control planes' namespace. */
    readonly namespace: string;
    readonly revision: string;
    /** CA bundle in base64; absent: istiod writes it. */
    readonly caBundle: unknown;
}

interface Expression {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: string[];
}

const REV = "istio.io/rev";
const INJECTION = "istio-injection";
const INJECT = "sidecar.istio.io/inject";

const absent = (key: string): Expression => ({ key, operator: "DoesNotExist" });
const among = (key: string, ...values: string[]): Expression => ({ key, operator: "In", values });
const notAmong = (key: string, ...values: string[]): Expression => ({
    key,
    operator: "NotIn",
    values,
});

/** Name of the Service of a revision's istiod. */
export function serviceOf(revision: string): string {
    return revision === "default" ? "istiod" : `istiod-${revision}`;
}

/**
 * The webhooks of a tag: what its revision's own have, with the tag's name in their selectors. Tag `default` serves
 * istio-injection=enabled and pods that ask for a sidecar without naming a revision, too.
 */
export function tagWebhooks(tag: string, served: Served) {
    const webhook = (name: string, namespace: Expression[], object: Expression[]) => ({
        name,
        clientConfig: {
            service: {
                name: serviceOf(served.revision),
                namespace: served.namespace,
                path: "/inject",
                port: 443,
            },
            ...(served.caBundle === undefined ? {} : { caBundle: served.caBundle }),
        },
        sideEffects: "None",
        rules: [
            { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
        ],
        failurePolicy: "Fail",
        reinvocationPolicy: "Never",
        admissionReviewVersions: ["v1"],
        namespaceSelector: { matchExpressions: namespace },
        objectSelector: { matchExpressions: object },
    });
    const willing = notAmong(INJECT, "false");
    return [
        webhook(
            "rev.namespace.sidecar-injector.istio.io",
            [among(REV, tag), absent(INJECTION)],
            [willing],
        ),
        webhook(
            "rev.object.sidecar-injector.istio.io",
            [absent(REV), absent(INJECTION)],
            [willing, among(REV, tag)],
        ),
        ...(tag === "default"
            ? [
                  webhook(
                      "namespace.sidecar-injector.istio.io",
                      [among(INJECTION, "enabled")],
                      [willing],
                  ),
                  webhook(
                      "object.sidecar-injector.istio.io",
                      [absent(INJECTION), absent(REV)],
                      [among(INJECT, "true"), absent(REV)],
                  ),
              ]
            : []),
    ];
}

/** The webhook behind every write of an Istio object that names no revision. */
export function validationWebhook({ revision, namespace, caBundle }: Served) {
    return {
        name: "validation.istio.io",
        clientConfig: {
            service: { name: serviceOf(revision), namespace, path: "/validate", port: 443 },
            ...(caBundle === undefined ? {} : { caBundle }),
        },
        rules: [
            {
                operations: ["CREATE", "UPDATE"],
                apiGroups: [
                    "security.istio.io",
                    "networking.istio.io",
                    "telemetry.istio.io",
                    "extensions.istio.io",
                ],
                apiVersions: ["*"],
                resources: ["*"],
            },
        ],
        failurePolicy: "Fail",
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
    };
}
