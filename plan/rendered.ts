// Rendered YAML as a source of CRDs and control plane: `linkerd install [--crds]`, `linkerd upgrade [--crds]`, `helm template`.
//
// What is reviewed is used as it is, but for what the stack has made itself and is not of the render: the identity, the
// webhooks' certificates and the heartbeat's minute. Each render mints and draws those anew.
import {
    isMap,
    isScalar,
    parseAllDocuments,
    parseDocument,
    Scalar,
    type Document,
    type YAMLMap,
} from "yaml";
import type { ChartValues, LinkerdStackConfig } from "../config";
import { trustRootHash } from "./certificates";
import type { Fault } from "./faults";
import { ISSUED_AT, ISSUER_SECRET, type Identity, type IdentityByCertManager } from "./identity";
import { withoutDerived, type Settings } from "./settings";
import { at, controlPlaneValues } from "./values";
import type { LinkerdVersion } from "./versions";
import { WEBHOOKS, webhookSecret, type WebhookCertificates } from "./webhooks";

/** Rendered YAML of one chart, checked; its scalars are read as text only, and so written as they stood. */
export interface RenderedChart {
    readonly documents: readonly Document[];
    /** What it says of the chart's values, without what the program derives. */
    readonly values: ChartValues;
    /** For the preview: what of the cluster is kept instead. Absent: nothing. */
    readonly kept?: string;
}

/** By section of the stack file; absent: that one comes from its chart, or is at fault. */
export type Rendered = Partial<Readonly<Record<"crds" | "controlPlane", RenderedChart>>>;

const NAMESPACE = "linkerd";
const DEPLOYMENTS = ["linkerd-identity", "linkerd-destination", "linkerd-proxy-injector"];
/** Secrets of a render that the stack declares itself, and the CLI's record of them, which holds the issuer's key. */
const SECRETS = [
    ISSUER_SECRET,
    "linkerd-config-overrides",
    ...WEBHOOKS.map(({ service }) => webhookSecret(service)),
];
const INJECTION = ["cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret"];

/** Documents of a stream of manifests. @throws Error where it is no YAML, or holds something else than objects. */
export function parseManifests(text: string): Document[] {
    const documents = parseAllDocuments(text, { schema: "failsafe", uniqueKeys: false });
    return documents.filter((one): one is Document.Parsed => {
        const [error] = one.errors;
        if (error) {
            throw error;
        }
        if (isMap(one.contents) && textAt(one, "kind") !== "" && nameOf(one) !== "") {
            return true;
        }
        const empty =
            one.contents === null || (isScalar(one.contents) && one.contents.value === "");
        if (!empty) {
            throw new Error("it holds something that is no object with kind and name");
        }
        return false;
    });
}

/** The rendered control plane without what the stack declares itself, or what is wrong with it. */
export function renderedControlPlane(
    documents: readonly Document[],
    path: string,
    version: LinkerdVersion,
): RenderedChart | readonly Fault[] {
    const subject = "controlPlane.manifests";
    const render = `render it with linkerd ${version.tag} (linkerd install or linkerd upgrade), or: helm template linkerd-control-plane --namespace ${NAMESPACE} --version ${version.charts["linkerd-control-plane"]}`;
    const own = documents.filter(
        (one) =>
            !(textAt(one, "kind") === "Namespace" && nameOf(one) === NAMESPACE) &&
            !(textAt(one, "kind") === "Secret" && SECRETS.includes(nameOf(one))),
    );
    const fault = (rule: string, next = render): readonly Fault[] => [
        { subject, value: path, rule, next },
    ];
    const named = (kind: string) => own.filter((one) => textAt(one, "kind") === kind).map(nameOf);
    const crds = named("CustomResourceDefinition");
    if (crds.length > 0) {
        return fault(
            `holds CRDs: ${shorten(crds)}`,
            "put them into a file of their own and name it in crds.manifests (linkerd install --crds writes it)",
        );
    }
    const secrets = named("Secret");
    if (secrets.length > 0) {
        return fault(
            `holds Secret ${shorten(secrets)}, which would stand in plaintext in the state`,
            "take it out of the manifests and make it by other means",
        );
    }
    const missing = [
        ...["linkerd-config", "linkerd-identity-trust-roots"]
            .filter((name) => !find(own, "ConfigMap", name))
            .map((name) => `ConfigMap ${NAMESPACE}/${name}`),
        ...DEPLOYMENTS.filter((name) => !find(own, "Deployment", name)).map(
            (name) => `Deployment ${NAMESPACE}/${name}`,
        ),
    ];
    if (missing.length > 0) {
        return fault(`is no whole control plane: it has no ${missing.join(", ")}`);
    }
    const values = parseDocument(String(valuesOf(own))).toJS() as ChartValues;
    const found = at(values, "linkerdVersion");
    if (found !== version.tag) {
        return [
            {
                subject,
                value: typeof found === "string" ? found : "no linkerdVersion",
                rule: `the manifests are not of the version line, ${version.tag}`,
                next: `${render}, or set linkerdVersion to what they hold`,
            },
        ];
    }
    return { documents: own, values: withoutDerived("controlPlane", values, version.tag) };
}

/** The stack file as if what the rendered YAML says stood there as values. */
export function withRendered<C extends Pick<LinkerdStackConfig, "crds" | "controlPlane">>(
    config: C,
    rendered: Rendered,
): C {
    const section = <S extends object>(own: S, chart: RenderedChart | undefined) =>
        chart ? { ...own, values: chart.values } : own;
    return {
        ...config,
        crds: section(config.crds, rendered.crds),
        controlPlane: section(config.controlPlane, rendered.controlPlane),
    };
}

/** Lines for the preview: a render says other things than what is declared, where those are the stack's. */
export function renderedLines(
    { crds, controlPlane }: Pick<LinkerdStackConfig, "crds" | "controlPlane">,
    { crds: chart }: Pick<Rendered, "crds">,
): string[] {
    const kept = chart?.kept === undefined ? "" : `; ${chart.kept}`;
    return [
        ...(crds.manifests === undefined ? [] : [`CRDs: from ${crds.manifests}${kept}`]),
        ...(controlPlane.manifests === undefined
            ? []
            : [
                  `control plane: from ${controlPlane.manifests}; trust anchors, issuer, certificates of webhooks and, where none is set, the heartbeat's minute are the stack's own`,
              ]),
    ];
}

/** What a render does not decide. */
export interface StacksOwn {
    readonly version: LinkerdVersion;
    readonly identity: Pick<
        Identity | IdentityByCertManager,
        "scheme" | "trustAnchors" | "issuer" | "issuedAt"
    >;
    readonly webhooks: WebhookCertificates;
    readonly values: Pick<Settings, "controlPlane">;
}

/** The control plane's manifests with what is the stack's own in them, as its chart would have them. */
export function withStacksOwn(
    documents: readonly Document[],
    { version, identity, webhooks, values }: StacksOwn,
    clusterUid: string,
): string {
    const derived = controlPlaneValues(
        values.controlPlane,
        version,
        identity,
        webhooks,
        clusterUid,
    );
    const own = documents.map((one) => one.clone());
    const edit = (kind: string, name: string) => find(own, kind, name);
    edit("ConfigMap", "linkerd-identity-trust-roots")?.setIn(
        ["data", "ca-bundle.crt"],
        scalar(identity.trustAnchors.trim()),
    );
    edit("ConfigMap", "linkerd-config")?.setIn(
        ["data", "values"],
        scalar(shownValues(valuesOf(own), derived)),
    );
    edit("CronJob", "linkerd-heartbeat")?.setIn(
        ["spec", "schedule"],
        scalar(String(derived["heartbeatSchedule"])),
    );
    const issuer = edit("Deployment", "linkerd-identity");
    for (const [index, container] of containersOf(issuer).entries()) {
        const args = (container.toJSON() as { args?: string[] }).args ?? [];
        for (const [position, argument] of args.entries()) {
            if (argument.startsWith("-identity-scheme=")) {
                const path = ["spec", "template", "spec", "containers", index, "args", position];
                issuer?.setIn(path, scalar(`-identity-scheme=${identity.scheme}`));
            }
        }
    }
    const trustRoot = trustRootHash(identity.trustAnchors);
    for (const one of own) {
        const template = templateOf(one);
        if (template) {
            const annotations = [...template, "metadata", "annotations"];
            if (one.hasIn([...annotations, "linkerd.io/trust-root-sha256"])) {
                one.setIn([...annotations, "linkerd.io/trust-root-sha256"], scalar(trustRoot));
            }
            if (identity.issuedAt !== undefined) {
                one.setIn([...annotations, ISSUED_AT], scalar(identity.issuedAt));
            }
        }
        if (textAt(one, "kind").endsWith("WebhookConfiguration")) {
            setBundles(one, webhooks.bundles);
        }
    }
    return write(own);
}

/** As one stream. */
export function write(documents: readonly Document[]): string {
    return documents
        .map((one) => one.toString({ lineWidth: 0 }))
        .map((one) => (one.startsWith("---") ? one : `---\n${one}`))
        .join("");
}

function setBundles(document: Document, bundles: Readonly<Record<string, string>>): void {
    for (const annotation of INJECTION) {
        const path = ["metadata", "annotations", annotation];
        if (document.hasIn(path)) {
            document.deleteIn(path);
        }
    }
    const { webhooks = [] } = document.toJS() as {
        webhooks?: { clientConfig?: { service?: { name?: string } } }[];
    };
    for (const [index, { clientConfig }] of webhooks.entries()) {
        const bundle = bundles[clientConfig?.service?.name ?? ""];
        if (bundle !== undefined) {
            const text = Buffer.from(bundle.trim()).toString("base64");
            document.setIn(["webhooks", index, "clientConfig", "caBundle"], scalar(text));
        }
    }
}

/** Derived values that linkerd-config shows, whatever the render has there. */
const SHOWN = [
    "heartbeatSchedule",
    "identity.issuer.scheme",
    "identityTrustAnchorsPEM",
    ...WEBHOOKS.filter((one) => one.namespace === NAMESPACE).flatMap(({ value }) => [
        `${value}.caBundle`,
        `${value}.externalSecret`,
    ]),
];

/** Values that a render may have and the stack has not: certificates of the installer's. */
const BLANK = WEBHOOKS.filter((one) => one.namespace === NAMESPACE).flatMap(({ value }) =>
    ["crtPEM", "injectCaFrom", "injectCaFromSecret"].map((key) => `${value}.${key}`),
);

/** The text of linkerd-config's values with what is derived, as charts write it: sorted by key, lists not indented. */
function shownValues(shown: Document, derived: ChartValues): string {
    for (const path of SHOWN) {
        show(shown, path.split("."), at(derived, path));
    }
    for (const path of BLANK.filter((one) => shown.hasIn(one.split(".")))) {
        show(shown, path.split("."), "");
    }
    const tls = ["identity", "issuer", "tls", "crtPEM"];
    show(shown, tls, at(derived, tls.join(".")) ?? "");
    const annotations = derived["podAnnotations"] as ChartValues | undefined;
    if (annotations?.[ISSUED_AT] !== undefined) {
        show(shown, ["podAnnotations", ISSUED_AT], annotations[ISSUED_AT]);
    }
    return shown.toString({ lineWidth: 0, indentSeq: false });
}

function show(document: Document, path: readonly string[], value: unknown): void {
    const node = typeof value === "string" ? scalar(value) : plain(String(value));
    if (document.hasIn(path)) {
        document.setIn(path, node);
        return;
    }
    document.setIn(path, node);
    const above = path.slice(0, -1);
    const map = above.length > 0 ? document.getIn(above) : document.contents;
    if (isMap(map)) {
        map.flow = false;
        const added = map.items.pop();
        const after = map.items.findIndex((item) => String(item.key) > String(added?.key));
        map.items.splice(after < 0 ? map.items.length : after, 0, ...(added ? [added] : []));
    }
}

function plain(text: string): Scalar {
    const one = new Scalar(text);
    one.type = Scalar.PLAIN;
    return one;
}

/** A text, written so that whoever reads it takes it for one: in quotes where it could be something else. */
export function scalar(text: string): Scalar {
    const one = new Scalar(text);
    one.type = text.includes("\n")
        ? Scalar.BLOCK_LITERAL
        : /^[a-z][\w./=+-]*$/i.test(text) || /^\d+ \d+ /.test(text)
          ? Scalar.PLAIN
          : Scalar.QUOTE_DOUBLE;
    return one;
}

function templateOf(document: Document): string[] | undefined {
    const kind = textAt(document, "kind");
    return kind === "Deployment"
        ? ["spec", "template"]
        : kind === "CronJob"
          ? ["spec", "jobTemplate", "spec", "template"]
          : undefined;
}

function containersOf(deployment: Document | undefined): readonly YAMLMap[] {
    const list = deployment?.getIn(["spec", "template", "spec", "containers"]);
    return (list as { items?: YAMLMap[] } | undefined)?.items ?? [];
}

/** The values that linkerd-config shows, as a document of their own. */
function valuesOf(documents: readonly Document[]): Document {
    const config = find(documents, "ConfigMap", "linkerd-config");
    return parseDocument(config ? textAt(config, "data", "values") : "", { schema: "failsafe" });
}

function find(documents: readonly Document[], kind: string, name: string): Document | undefined {
    return documents.find(
        (one) =>
            textAt(one, "kind") === kind &&
            nameOf(one) === name &&
            textAt(one, "metadata", "namespace") === NAMESPACE,
    );
}

export function nameOf(document: Document): string {
    return textAt(document, "metadata", "name");
}

/** The text at a path; empty where there is none. */
export function textAt(document: Document, ...path: string[]): string {
    const found = isMap(document.contents) ? document.getIn(path) : undefined;
    return typeof found === "string" ? found : "";
}

export function shorten(names: readonly string[]): string {
    return names.length > 3
        ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`
        : names.join(", ");
}
