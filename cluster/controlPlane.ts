import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../plan/faults";
import { imageTag } from "../plan/images";
import { listAll, reasonOf, type Connection } from "./connection";
import type { DataPlane } from "./dataPlane";
import { readIssuerSince, readLinkerdConfig } from "./linkerdConfig";
import { PROXY_CONTAINER, TRUST_ROOT } from "./pods";
import { rolloutStatus } from "./rolloutStatus";

/** How long a changed ConfigMap may take to reach a running pod: the kubelet's sync period and its cache. */
const PROPAGATION_MS = 120_000;

/** What new pods are to get. */
interface Wanted {
    /** Of the control plane. */
    readonly version: string;
    /** Image tag. */
    readonly proxy: string;
    /** Annotation linkerd.io/trust-root-sha256; undefined: it does not count. */
    readonly trustRoot?: string | undefined;
    /** Of the issuer; undefined where it never changed. */
    readonly issuedAt?: string | undefined;
}

export interface ControlPlaneChecks {
    readonly passed: readonly string[];
    readonly faults: readonly Fault[];
}

const REFUSED = "refused";
const NO_PROXY = "no proxy";
/** Name of the injector's webhook; the API server names it where the call fails. */
const INJECTOR_WEBHOOK = "linkerd-proxy-injector";

/** So that the probe itself passes the strictest Pod Security level. */
const RESTRICTED: k8s.V1SecurityContext = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    runAsNonRoot: true,
    runAsUser: 65_534,
    seccompProfile: { type: "RuntimeDefault" },
};

/** How often the injector is asked: the Service spreads requests over its pods. */
const PROBES = 5;

/**
 * Whether the control plane serves `target`, before any workload is restarted: linkerd-config names the version,
 * the Deployments are rolled out, `health` has no faults, and the injector, asked with a dry run that makes no pod, gives a
 * new pod the proxy of the target.
 */
export async function checkControlPlane(
    connection: Connection,
    target: Wanted,
    dataPlane: Pick<DataPlane, "pods" | "namespaceLabels">,
    health: () => Promise<ControlPlaneChecks> = () => Promise.resolve({ passed: [], faults: [] }),
): Promise<ControlPlaneChecks> {
    const passed: string[] = [];
    const faults: Fault[] = [];
    const { core, apps } = connection;
    const live = (await readLinkerdConfig(core))?.version;
    if (live === target.version) {
        passed.push(`linkerd-config names ${target.version}`);
    } else {
        faults.push({
            subject: "ConfigMap linkerd/linkerd-config",
            value: live ?? "missing",
            rule: `must name linkerdVersion ${target.version}`,
            next: "pulumi up --refresh",
        });
    }
    if ((await readIssuerSince(core, target.issuedAt)) === Infinity) {
        faults.push({
            subject: "Secret linkerd/linkerd-identity-issuer",
            value: target.issuedAt,
            rule: "must say since when its issuer is served: no pod could be told from those of before",
            next: "pulumi up --refresh",
        });
    }
    const deployments = await listAll((page) =>
        apps.listNamespacedDeployment({
            ...page,
            namespace: "linkerd",
            labelSelector: "linkerd.io/control-plane-ns=linkerd",
        }),
    );
    for (const one of deployments) {
        const status = rolloutStatus("Deployment", one);
        const text = `${status.available} of ${status.wanted} pods available`;
        if (status.done) {
            passed.push(`Deployment linkerd/${one.metadata?.name}: ${text}`);
        } else {
            faults.push({
                subject: `Deployment linkerd/${one.metadata?.name}`,
                value: text,
                rule: "its rollout must be complete",
                next: `kubectl -n linkerd describe deployment ${one.metadata?.name}`,
            });
        }
    }
    if (faults.length === 0) {
        // An injector that nobody can reach would be asked in vain, and for minutes.
        const checks = await health();
        passed.push(...checks.passed);
        faults.push(...checks.faults);
    }
    if (faults.length === 0) {
        const { answer, refusals } = await askInjector(core, target, askable(dataPlane));
        if (answer === undefined) {
            passed.push(
                refusals.length === 0
                    ? "the injector was not asked: no namespace has meshed pods yet"
                    : `the injector could not be asked (${refusals[0]}); the wave verifies each pod`,
            );
        } else if (answer === target.proxy) {
            passed.push(`the injector gives new pods proxy ${target.proxy}`);
        } else {
            faults.push({
                subject: "injector (Deployment linkerd/linkerd-proxy-injector)",
                value: answer,
                rule: `must give new pods proxy ${target.proxy} (asked by a dry run that makes no pod)`,
                next: "kubectl -n linkerd get pods -l linkerd.io/control-plane-component=proxy-injector",
            });
        }
    }
    return { passed, faults };
}

/**
 * Asks until the answer is `proxy`, or the time is up. A namespace whose own policies (quota, another webhook)
 * refuse the probe says nothing about the injector; the next one is asked.
 */
async function askInjector(core: k8s.CoreV1Api, wanted: Wanted, namespaces: readonly string[]) {
    const { proxy } = wanted;
    const deadline = Date.now() + PROPAGATION_MS;
    for (;;) {
        const refusals: string[] = [];
        let answer: string | undefined;
        let missed: string | undefined;
        for (const namespace of namespaces) {
            const answers = new Set<string>();
            for (let probe = 0; probe < PROBES; probe++) {
                answers.add(await injectedProxy(core, namespace, wanted));
            }
            if (answers.has(NO_PROXY)) {
                missed = NO_PROXY;
                continue;
            }
            const refusal = [...answers].find((one) => one.startsWith(REFUSED));
            if (refusal !== undefined && !refusal.includes(INJECTOR_WEBHOOK)) {
                refusals.push(`${namespace} ${refusal}`);
                continue;
            }
            answer = [...answers].find((one) => one !== proxy) ?? proxy;
            break;
        }
        // No proxy in one namespace can have its own reason there; none anywhere is the injector's.
        answer ??= missed;
        if (answer === undefined || answer === proxy || Date.now() > deadline) {
            return { answer, refusals };
        }
        await sleep(2_000);
    }
}

/** Namespaces in which a new pod gets what the injector gives by default. */
function askable({ pods, namespaceLabels }: Pick<DataPlane, "pods" | "namespaceLabels">): string[] {
    const names = pods.filter((pod) => pod.pin === undefined).map((pod) => pod.namespace);
    return [...new Set(names)].filter(
        (name) =>
            !APART.has(name) &&
            namespaceLabels.get(name)?.["config.linkerd.io/admission-webhooks"] !== "disabled",
    );
}

/** Namespaces with rules of their own about injection. */
const APART = new Set(["linkerd", "linkerd-viz", "kube-system", "cert-manager"]);

/** The proxy that a new pod would get, or why it would get none. Makes no pod. */
async function injectedProxy(
    core: k8s.CoreV1Api,
    namespace: string,
    { trustRoot }: Wanted,
): Promise<string> {
    try {
        const pod = await core.createNamespacedPod({
            namespace,
            dryRun: "All",
            body: {
                metadata: {
                    name: "mesh-upgrade-probe",
                    annotations: { "linkerd.io/inject": "enabled" },
                },
                spec: {
                    containers: [{ name: "probe", image: "probe", securityContext: RESTRICTED }],
                },
            },
        });
        const container = [
            ...(pod.spec?.containers ?? []),
            ...(pod.spec?.initContainers ?? []),
        ].find((one) => one.name === PROXY_CONTAINER);
        if (!container) {
            return NO_PROXY;
        }
        const tag = imageTag(container.image ?? "") ?? "no tag";
        const given = pod.metadata?.annotations?.[TRUST_ROOT];
        return trustRoot === undefined || given === undefined || given === trustRoot
            ? tag
            : `${tag} with other trust anchors`;
    } catch (error) {
        return `${REFUSED}: ${reasonOf(error)}`;
    }
}
