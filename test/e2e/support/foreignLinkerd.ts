import { KubernetesObjectApi, type KubernetesObject, type V1Secret } from "@kubernetes/client-node";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { KubeApi } from "../../../cluster/api";
import { mint } from "../../../plan/certificates";
import { merge } from "../../../plan/values";
import type { ChartValues } from "../../../config";
import { CHARTS } from "../../../embedded/stack";
import { OLD, type Journey } from "./journey";
import { waitFor } from "./waiting";

/** As the linkerd CLI signs what it makes. */
const CLI = `linkerd/cli ${OLD}`;
const CHART_VERSION = OLD.replace("edge-", "20");

const MANAGER = "kubectl-client-side-apply";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Helm with a home of its own; values go through stdin, since process arguments are no place for keys. */
export function helmOf(journey: Journey, helm: string) {
    return (args: readonly string[], values: ChartValues): Promise<string> => {
        const home = join(journey.cluster.directory, "helm");
        const child = spawn(helm, [...args, "--values", "-"], {
            env: {
                HOME: home,
                HELM_CACHE_HOME: home,
                HELM_CONFIG_HOME: home,
                HELM_DATA_HOME: home,
                KUBECONFIG: journey.cluster.kubeconfig,
            },
            stdio: ["pipe", "pipe", "pipe"],
        });
        child.stdin.end(stringify(values));
        let output = "";
        let errors = "";
        child.stdout.on("data", (data: Buffer) => (output += data.toString()));
        child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
        return new Promise((resolve, reject) => {
            child.on("error", reject);
            child.on("close", (code) =>
                code === 0 ? resolve(output) : reject(new Error(`helm ${args[0]}: ${errors}`)),
            );
        });
    };
}

export type Helm = ReturnType<typeof helmOf>;

/** What a chart's objects are without hooks, as the CLI prints them. */
async function render(helm: Helm, chart: string, namespace: string, values: ChartValues) {
    const path = join(CHARTS, `${chart}-${CHART_VERSION}`);
    const text = await helm(
        [
            "template",
            chart,
            path,
            "--namespace",
            namespace,
            "--no-hooks",
            "--kube-version",
            "1.34.4",
        ],
        values,
    );
    return parseAllDocuments(text, { uniqueKeys: false })
        .map((one) => one.toJS() as KubernetesObject | null)
        .filter((one) => one !== null);
}

/** The request that `kubectl apply` sends for an object that does not exist. */
async function apply(journey: Journey, objects: readonly KubernetesObject[]): Promise<void> {
    const client = KubernetesObjectApi.makeApiClient(journey.connection.kubeconfig);
    const api = new KubeApi(journey.connection);
    for (const object of objects) {
        const applied = `${JSON.stringify(object)}\n`;
        const annotations = {
            ...object.metadata?.annotations,
            "kubectl.kubernetes.io/last-applied-configuration": applied,
        };
        const body = { ...object, metadata: { ...object.metadata, annotations } };
        if (object.kind === "CustomResourceDefinition") {
            // The client's model of a schema drops the extensions that it cannot name (x-kubernetes-int-or-string).
            await api.send("POST", CRDS, { body, query: { fieldManager: MANAGER } });
        } else {
            await client.create(body, undefined, undefined, MANAGER);
        }
    }
    api.close();
}

function namespace(name: string, labels: Record<string, string>): KubernetesObject {
    const metadata = { name, labels, annotations: { "linkerd.io/inject": "disabled" } };
    return { apiVersion: "v1", kind: "Namespace", metadata };
}

/**
 * A control plane as `linkerd install --crds | kubectl apply -f -` and `linkerd install | kubectl apply -f -` leave it:
 * the issuer in Linkerd's own scheme, the settings in Secret linkerd-config-overrides.
 */
export async function installByCli(
    journey: Journey,
    helm: Helm,
    settings: ChartValues,
): Promise<void> {
    const now = new Date();
    const anchor = await mint({
        name: "root.linkerd.cluster.local",
        authority: true,
        years: 10,
        now,
    });
    const issuer = await mint({
        name: "identity.linkerd.cluster.local",
        issuer: anchor,
        authority: true,
        years: 1,
        now,
    });
    const asked = merge(settings, {
        identityTrustAnchorsPEM: anchor.certificate,
        identity: { issuer: { tls: { crtPEM: issuer.certificate, keyPEM: issuer.key } } },
    });
    const values = merge(asked, { cliVersion: CLI });
    const overrides: V1Secret = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: {
            name: "linkerd-config-overrides",
            namespace: "linkerd",
            labels: { "linkerd.io/control-plane-ns": "linkerd" },
        },
        data: {
            "linkerd-config-overrides": Buffer.from(stringify(asked)).toString("base64"),
        },
    };
    await apply(journey, await render(helm, "linkerd-crds", "linkerd", { cliVersion: CLI }));
    await apply(journey, [
        namespace("linkerd", {
            "linkerd.io/is-control-plane": "true",
            "config.linkerd.io/admission-webhooks": "disabled",
            "linkerd.io/control-plane-ns": "linkerd",
            "pod-security.kubernetes.io/enforce": "privileged",
        }),
        ...(await render(helm, "linkerd-control-plane", "linkerd", values)),
        overrides,
    ]);
    await ready(journey, "linkerd", 3);
}

/** viz as `helm install` leaves it. */
export async function installVizByHelm(journey: Journey, helm: Helm, values: ChartValues) {
    const chart = join(CHARTS, `linkerd-viz-${CHART_VERSION}`);
    await helm(
        ["install", "linkerd-viz", chart, "--namespace", "linkerd-viz", "--create-namespace"],
        values,
    );
    await ready(journey, "linkerd-viz", 5);
}

/** viz as `linkerd viz install | kubectl apply -f -` leaves it. */
export async function installVizByCli(journey: Journey, helm: Helm, values: ChartValues) {
    await apply(journey, [
        namespace("linkerd-viz", { "linkerd.io/extension": "viz" }),
        ...(await render(helm, "linkerd-viz", "linkerd-viz", values)),
    ]);
    await ready(journey, "linkerd-viz", 5);
}

async function ready(journey: Journey, name: string, least: number): Promise<void> {
    await waitFor(
        `${name} to be ready`,
        async () => {
            const { items } = await journey.connection.apps.listNamespacedDeployment({
                namespace: name,
            });
            return (
                items.length >= least &&
                items.every(({ spec, status }) => status?.readyReplicas === spec?.replicas)
            );
        },
        60_000,
    );
}
