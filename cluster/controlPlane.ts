import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import type { Fault } from "../plan/faults";
import { found, listAll, reasonOf, type Connection } from "./connection";
import { imageTag, PROXY_CONTAINER } from "./dataPlane";
import { rolloutStatus } from "./rolloutStatus";

/** How long a changed ConfigMap may take to reach a running pod: the kubelet's sync period and its cache. */
const PROPAGATION_MS = 120_000;

export interface ControlPlaneChecks {
    readonly passed: readonly string[];
    readonly faults: readonly Fault[];
}

/** How often the injector is asked: the Service spreads requests over its pods. */
const PROBES = 5;

/**
 * Whether the control plane serves `target`, before any workload is restarted: linkerd-config names the version,
 * the Deployments are rolled out, and the injector, asked with a dry run that makes no pod, gives a new pod the
 * proxy of the target.
 */
export async function checkControlPlane(
    connection: Connection,
    target: { readonly version: string; readonly proxy: string },
): Promise<ControlPlaneChecks> {
    const passed: string[] = [];
    const faults: Fault[] = [];
    const { core, apps } = connection;
    const config = await found(
        core.readNamespacedConfigMap({ namespace: "linkerd", name: "linkerd-config" }),
    );
    const values = parse(config?.data?.["values"] ?? "") as { linkerdVersion?: string } | null;
    if (values?.linkerdVersion === target.version) {
        passed.push(`linkerd-config names ${target.version}`);
    } else {
        faults.push({
            subject: "ConfigMap linkerd/linkerd-config",
            value: values?.linkerdVersion ?? "missing",
            rule: `must name linkerdVersion ${target.version}`,
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
    const namespace = await meshedNamespace(core);
    if (namespace !== undefined && faults.length === 0) {
        const others = await otherProxies(core, namespace, target.proxy);
        if (others.length === 0) {
            passed.push(`the injector gives new pods proxy ${target.proxy}`);
        } else {
            faults.push({
                subject: "injector (Deployment linkerd/linkerd-proxy-injector)",
                value: others.join("; "),
                rule: `must give new pods proxy ${target.proxy} (asked by a dry run in namespace ${namespace})`,
                next: "kubectl -n linkerd get pods -l linkerd.io/control-plane-component=proxy-injector",
            });
        }
    }
    return { passed, faults };
}

/** What the injector gives new pods instead of `proxy`, as soon as that is nothing, or when the time is up. */
async function otherProxies(core: k8s.CoreV1Api, namespace: string, proxy: string) {
    const deadline = Date.now() + PROPAGATION_MS;
    for (;;) {
        const proxies = new Set<string>();
        for (let probe = 0; probe < PROBES; probe++) {
            proxies.add(await injectedProxy(core, namespace));
        }
        proxies.delete(proxy);
        if (proxies.size === 0 || Date.now() > deadline) {
            return [...proxies];
        }
        await sleep(2_000);
    }
}

/** A namespace where meshed pods run; undefined where none do. */
async function meshedNamespace(core: k8s.CoreV1Api): Promise<string | undefined> {
    const pods = await listAll((page) =>
        core.listPodForAllNamespaces({ ...page, labelSelector: "linkerd.io/control-plane-ns" }),
    );
    return pods
        .map((pod) => pod.metadata?.namespace)
        .filter((name) => name !== "linkerd" && name !== "linkerd-viz")[0];
}

/** The proxy that a new pod would get, or why it would get none. Makes no pod. */
async function injectedProxy(core: k8s.CoreV1Api, namespace: string): Promise<string> {
    try {
        const pod = await core.createNamespacedPod({
            namespace,
            dryRun: "All",
            body: {
                metadata: {
                    name: "mesh-upgrade-probe",
                    annotations: { "linkerd.io/inject": "enabled" },
                },
                spec: { containers: [{ name: "probe", image: "probe" }] },
            },
        });
        const container = [
            ...(pod.spec?.containers ?? []),
            ...(pod.spec?.initContainers ?? []),
        ].find((one) => one.name === PROXY_CONTAINER);
        return container ? (imageTag(container.image ?? "") ?? "no tag") : "no proxy";
    } catch (error) {
        return `refused: ${reasonOf(error)}`;
    }
}
