import * as k8s from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { NO_SIDECAR } from "../../plan/dataPlane";
import type { Fault } from "../../plan/faults";
import { injectorsOf } from "../../plan/istio/injection";
import { istioTarget, SEVERAL_SIDECARS } from "../../plan/istio/target";
import { reasonOf, type Connection } from "../connection";
import type { ControlPlaneChecks } from "../controlPlane";
import { rolloutStatus } from "../rolloutStatus";
import { INJECTION_LABEL, readInjection, REVISION_LABEL, revisionOf } from "./injection";
import { istioPodRecord } from "./pods";

/** Webhook configurations that have been changed take effect within it. */
const PROPAGATION_MS = 10_000;
const AGAIN_MS = 500;

/**
 * Whether new pods of the namespaces get the sidecar that their labels choose, asked with a dry run that makes no pod:
 * exactly one, of a revision whose istiod is rolled out.
 */
export async function checkRevisions(
    connection: Connection,
    namespace: string,
    namespaces: readonly string[],
): Promise<ControlPlaneChecks> {
    const passed: string[] = [];
    const faults: Fault[] = [];
    for (const name of namespaces) {
        const answer = await settled(() => askNamespace(connection, namespace, name));
        if (answer.fault) {
            faults.push(answer.fault);
        } else {
            passed.push(answer.passed);
        }
    }
    const used = new Set(
        passed.map((text) => /\((\S+)\)$/.exec(text)?.[1]).filter((one) => one !== undefined),
    );
    for (const { revision, fault, passed: text } of await istiods(connection, namespace)) {
        if (used.has(revision)) {
            (fault ? faults : passed).push((fault ?? text) as never);
        }
    }
    return { passed, faults };
}

interface Answer {
    readonly passed: string;
    readonly fault?: Fault;
}

/** Asks again for a while: the API server notices a changed webhook a moment later. */
export async function settled<T extends { fault?: unknown }>(ask: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + PROPAGATION_MS;
    for (;;) {
        const answer = await ask();
        if (answer.fault === undefined || Date.now() > deadline) {
            return answer;
        }
        await sleep(AGAIN_MS);
    }
}

async function askNamespace(
    connection: Connection,
    controlPlane: string,
    name: string,
): Promise<Answer> {
    const subject = `new pods of namespace ${name}`;
    const [webhooks, namespace] = await Promise.all([
        readInjection(connection, controlPlane),
        connection.core.readNamespace({ name }),
    ]);
    const body = probePod(name);
    const record = istioPodRecord(body);
    const labels = namespace.metadata?.labels ?? {};
    const wanted = istioTarget(webhooks).of({
        ...record,
        owner: undefined,
        currentRevision: true,
        templateChanged: false,
        namespaceLabels: labels,
    });
    const { [REVISION_LABEL]: revision, [INJECTION_LABEL]: injection } = labels;
    if (wanted === NO_SIDECAR && revision === undefined && injection !== "enabled") {
        return { passed: `${subject} get none: it has no label that asks for one` };
    }
    if (wanted === NO_SIDECAR) {
        return {
            passed: "",
            fault: {
                subject,
                value:
                    injection === undefined
                        ? `${REVISION_LABEL}=${revision}`
                        : `${INJECTION_LABEL}=${injection}`,
                rule: "no webhook injects them",
                next: `kubectl get mutatingwebhookconfigurations -l ${REVISION_LABEL}; kubectl get namespace ${name} --show-labels`,
            },
        };
    }
    if (wanted === SEVERAL_SIDECARS) {
        const all = injectorsOf(webhooks.injectors, { name, labels }, record.wish);
        return {
            passed: "",
            fault: {
                subject,
                value: [...new Set(all.map((one) => one.name))].join(", "),
                rule: "more than one webhook configuration injects them, and which comes first is chance",
                next: `kubectl get namespace ${name} --show-labels; kubectl get mutatingwebhookconfigurations -l ${REVISION_LABEL}; take one of them away`,
            },
        };
    }
    try {
        const pod = await connection.core.createNamespacedPod({
            namespace: name,
            dryRun: "All",
            body,
        });
        const got = istioPodRecord(pod).proxy;
        const sidecars = [
            ...(pod.spec?.containers ?? []),
            ...(pod.spec?.initContainers ?? []),
        ].filter((one) => one.name === "istio-proxy").length;
        if (got === wanted && sidecars === 1) {
            return { passed: `${subject} get ${wanted}` };
        }
        return {
            passed: "",
            fault: {
                subject,
                value: `${got}${sidecars === 1 ? "" : `, ${sidecars} sidecars`}`,
                rule: `must get ${wanted} (asked by a dry run that makes no pod)`,
                next: `kubectl -n ${controlPlane} get pods -l app=istiod`,
            },
        };
    } catch (error) {
        const reason = reasonOf(error);
        // A namespace's own policies (a quota, another webhook) say nothing about the injector.
        return /sidecar-injector\.istio\.io|istiod/.test(reason)
            ? {
                  passed: "",
                  fault: {
                      subject,
                      rule: `are refused: ${reason}`,
                      next: `kubectl -n ${controlPlane} get pods -l app=istiod`,
                  },
              }
            : { passed: `${subject} could not be asked (${reason}); the wave verifies each pod` };
    }
}

function probePod(namespace: string): k8s.V1Pod {
    return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "mesh-upgrade-probe", namespace },
        spec: {
            containers: [
                {
                    name: "probe",
                    image: "probe",
                    securityContext: {
                        allowPrivilegeEscalation: false,
                        capabilities: { drop: ["ALL"] },
                        runAsNonRoot: true,
                        seccompProfile: { type: "RuntimeDefault" },
                    },
                },
            ],
        },
    };
}

async function istiods({ apps }: Connection, namespace: string) {
    const { items } = await apps.listNamespacedDeployment({
        namespace,
        labelSelector: "app=istiod",
    });
    return items.map((one) => {
        const status = rolloutStatus("Deployment", one);
        const passed = `Deployment ${namespace}/${one.metadata?.name}: ${status.available} of ${status.wanted} pods available`;
        const fault: Fault = {
            subject: `Deployment ${namespace}/${one.metadata?.name}`,
            value: `${status.available} of ${status.wanted} pods available`,
            rule: "its rollout must be complete",
            next: `kubectl -n ${namespace} describe deployment ${one.metadata?.name}`,
        };
        return { revision: revisionOf(one), passed, fault: status.done ? undefined : fault };
    });
}
