import * as k8s from "@kubernetes/client-node";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { parse } from "yaml";
import type { ChartValues } from "../config";
import { NO_SETTINGS, SECTIONS, withoutDerived, type Settings } from "../plan/settings";
import { isMap } from "../plan/values";
import { found, type Connection } from "./connection";
import type { LinkerdConfig } from "./linkerdConfig";

/** ConfigMap of namespace linkerd in which the stack keeps the settings that it took over. */
export const SETTINGS_CONFIG_MAP = "mesh-upgrade-adopted";
/** Where the linkerd CLI keeps what differs from its defaults, keys included. */
const OVERRIDES = "linkerd-config-overrides";
/** By chart, its key in the stack's ConfigMap. */
export const settingsKey = (section: keyof Settings) => `${section}.yaml`;

/** Helm's newest record of release linkerd-viz. */
export interface LiveRelease {
    readonly revision: number;
    readonly status: string;
    /** Of linkerd-viz: `2024.5.3`, or `30.12.11` of stable-2.14.10. */
    readonly chartVersion: string;
    /** Values that the user gave, as Helm keeps them. May hold keys: never hand them on as they are. */
    readonly config: ChartValues;
}

/** What Helm keeps of a release of Linkerd's own charts, which the stack does not go on with. */
export interface HelmRecords {
    /** Release. */
    readonly name: string;
    /** Names of its Secrets in namespace linkerd. */
    readonly secrets: readonly string[];
}

/** A Deployment of the mesh, as far as its settings show in it. */
export interface LiveComponent {
    readonly name: string;
    readonly replicas: number;
    /** Of its own container: that of its name, else the first. */
    readonly args: readonly string[];
    readonly image: string;
    /** `checksum/config` of the pod template. */
    readonly checksum: string | undefined;
    /** `linkerd/cli edge-24.5.3` or `linkerd/helm edge-24.5.3`. */
    readonly createdBy: string | undefined;
    /** Its labels; those of its pods are in `pod`. */
    readonly labels?: Readonly<Record<string, string>>;
    readonly revisionHistoryLimit?: number | undefined;
    /** The pod template. */
    readonly pod?: k8s.V1PodTemplateSpec | undefined;
    readonly container?: k8s.V1Container | undefined;
}

/** Where the Prometheus of viz keeps its data. */
export interface LiveClaim {
    /** Undefined: the cluster's default. */
    readonly storageClass: string | undefined;
    readonly accessMode: string | undefined;
    readonly size: string | undefined;
    /** Whether Helm deletes it with the first release that has it no more. */
    readonly helms: boolean;
}

/** Of a viz without a Helm release, what shows elsewhere than in its Deployments. */
export interface LiveVizExtras {
    readonly pullSecrets: readonly { readonly name: string }[];
    /** Whether the dashboard may look at the cluster's resources, for its checks. */
    readonly checks: boolean;
    /** Whether it has disruption budgets. */
    readonly budgets: boolean;
}

/** How what is installed was configured, by whomever. */
export interface LiveInstallation {
    /** Settings that this stack took over earlier; undefined: it took none. */
    readonly taken: Settings | undefined;
    /** Whether ConfigMap linkerd-config is of somebody else's making. */
    readonly foreign: boolean;
    /** Values of linkerd-config. */
    readonly values: ChartValues;
    /** What the linkerd CLI was asked for, without certificates and keys; undefined: not the CLI's installation. */
    readonly overrides: ChartValues | undefined;
    readonly heartbeatSchedule: string | undefined;
    readonly controlPlane: readonly LiveComponent[];
    readonly viz: readonly LiveComponent[];
    /** failurePolicy of viz's webhook. */
    readonly tapInjectorPolicy: string | undefined;
    /** Undefined: there is no viz, or its Helm release has all of this. */
    readonly vizExtras: LiveVizExtras | undefined;
    /** Of viz's Prometheus; undefined: none. */
    readonly vizClaim: LiveClaim | undefined;
    readonly release: LiveRelease | undefined;
    /** Of CRDs and control plane. */
    readonly records: readonly HelmRecords[];
}

/** `config`: what ConfigMap linkerd-config holds. */
export async function observeInstallation(
    connection: Connection,
    config: LinkerdConfig | undefined,
): Promise<LiveInstallation> {
    const { core, apps, kubeconfig } = connection;
    const batch = kubeconfig.makeApiClient(k8s.BatchV1Api);
    const admission = kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const [overrides, taken, heartbeat, own, viz, releases, records, tapInjector, claim] =
        await Promise.all([
            found(core.readNamespacedSecret({ namespace: "linkerd", name: OVERRIDES })),
            found(
                core.readNamespacedConfigMap({ namespace: "linkerd", name: SETTINGS_CONFIG_MAP }),
            ),
            found(batch.readNamespacedCronJob({ namespace: "linkerd", name: "linkerd-heartbeat" })),
            apps.listNamespacedDeployment({
                namespace: "linkerd",
                labelSelector: "linkerd.io/control-plane-ns=linkerd",
            }),
            apps.listNamespacedDeployment({
                namespace: "linkerd-viz",
                labelSelector: "linkerd.io/extension=viz",
            }),
            core.listNamespacedSecret({
                namespace: "linkerd-viz",
                labelSelector: "owner=helm,name=linkerd-viz",
            }),
            core.listNamespacedSecret({ namespace: "linkerd", labelSelector: "owner=helm" }),
            found(
                admission.readMutatingWebhookConfiguration({
                    name: "linkerd-tap-injector-webhook-config",
                }),
            ),
            found(
                core.readNamespacedPersistentVolumeClaim({
                    namespace: "linkerd-viz",
                    name: "prometheus",
                }),
            ),
        ]);
    const text = overrides?.data?.[OVERRIDES];
    return {
        taken: taken && settingsOfConfigMap(taken),
        foreign: config?.foreign === true,
        values: mapOf(config?.values),
        overrides:
            text === undefined
                ? undefined
                : withoutDerived(
                      "controlPlane",
                      mapOf(parse(Buffer.from(text, "base64").toString())),
                      config?.version,
                  ),
        heartbeatSchedule: heartbeat?.spec?.schedule,
        controlPlane: own.items.map(component),
        viz: viz.items.map(component),
        tapInjectorPolicy: tapInjector?.webhooks?.[0]?.failurePolicy,
        vizExtras:
            viz.items.length > 0 && releases.items.length === 0
                ? await observeVizExtras(connection)
                : undefined,
        vizClaim: claim && claimOf(claim),
        release: await newestRelease(releases.items),
        records: await recordsOf(records.items),
    };
}

async function observeVizExtras({ core, kubeconfig }: Connection): Promise<LiveVizExtras> {
    const rbac = kubeconfig.makeApiClient(k8s.RbacAuthorizationV1Api);
    const policy = kubeconfig.makeApiClient(k8s.PolicyV1Api);
    const namespace = "linkerd-viz";
    const [account, checks, budgets] = await Promise.all([
        found(core.readNamespacedServiceAccount({ namespace, name: "metrics-api" })),
        found(rbac.readClusterRole({ name: "linkerd-linkerd-viz-web-check" })),
        policy.listNamespacedPodDisruptionBudget({
            namespace,
            labelSelector: "linkerd.io/extension=viz",
        }),
    ]);
    return {
        pullSecrets: (account?.imagePullSecrets ?? []).map(({ name = "" }) => ({ name })),
        checks: checks !== undefined,
        budgets: budgets.items.length > 0,
    };
}

function claimOf({ metadata, spec }: k8s.V1PersistentVolumeClaim): LiveClaim {
    const annotations = metadata?.annotations ?? {};
    return {
        storageClass: spec?.storageClassName,
        accessMode: spec?.accessModes?.[0],
        size: spec?.resources?.requests?.["storage"],
        helms:
            annotations["meta.helm.sh/release-name"] === "linkerd-viz" &&
            annotations["helm.sh/resource-policy"] !== "keep",
    };
}

function settingsOfConfigMap({ data = {} }: k8s.V1ConfigMap): Settings {
    const entries = SECTIONS.map((section) => [
        section,
        mapOf(parse(data[settingsKey(section)] ?? "")),
    ]);
    return { ...NO_SETTINGS, ...(Object.fromEntries(entries) as Settings) };
}

/** Containers that the injector adds, also in viz. */
const PROXIES = ["linkerd-proxy", "linkerd-init"];

function component({ metadata, spec }: k8s.V1Deployment): LiveComponent {
    const { template } = spec ?? {};
    const annotations = template?.metadata?.annotations ?? {};
    const containers = template?.spec?.containers.filter(({ name }) => !PROXIES.includes(name));
    const container = containers?.find(({ name }) => name === metadata?.name) ?? containers?.[0];
    return {
        name: metadata?.name ?? "",
        replicas: spec?.replicas ?? 1,
        args: container?.args ?? [],
        image: container?.image ?? "",
        checksum: annotations["checksum/config"],
        createdBy: annotations["linkerd.io/created-by"],
        labels: metadata?.labels ?? {},
        revisionHistoryLimit: spec?.revisionHistoryLimit,
        pod: template,
        container,
    };
}

/** Helm keeps one Secret per revision; labels `version` and `status` say which. */
export async function newestRelease(
    secrets: readonly k8s.V1Secret[],
): Promise<LiveRelease | undefined> {
    const revision = (secret: k8s.V1Secret) => Number(secret.metadata?.labels?.["version"] ?? 0);
    const [newest] = [...secrets].sort((a, b) => revision(b) - revision(a));
    if (!newest) {
        return undefined;
    }
    const record = await helmRecord(newest.data?.["release"] ?? "");
    return {
        revision: revision(newest),
        status: newest.metadata?.labels?.["status"] ?? "unknown",
        chartVersion: record.chart?.metadata?.version ?? "",
        config: mapOf(record.config),
    };
}

/** Charts of CRDs and control plane; linkerd2 was both before 2.12. */
const OWN_CHARTS = ["linkerd-crds", "linkerd-control-plane", "linkerd2"];

/** Records of releases of these charts, whatever the releases are called. */
export async function recordsOf(secrets: readonly k8s.V1Secret[]): Promise<HelmRecords[]> {
    const releaseOf = ({ metadata }: k8s.V1Secret) => metadata?.labels?.["name"] ?? "";
    const all = [...new Set(secrets.map(releaseOf))].map(async (name) => {
        const records = secrets.filter((one) => releaseOf(one) === name);
        const { chart } = await helmRecord(records[0]?.data?.["release"] ?? "");
        const names = records.map(({ metadata }) => metadata?.name ?? "").sort();
        return OWN_CHARTS.includes(chart?.metadata?.name ?? "") ? [{ name, secrets: names }] : [];
    });
    return (await Promise.all(all)).flat();
}

interface HelmRecord {
    readonly config?: unknown;
    readonly chart?: { readonly metadata?: { readonly name?: string; readonly version?: string } };
}

const unzip = promisify(gunzip);

/** A record is JSON, zipped, in base64, and once more in base64, as every Secret is (helm.sh/docs/topics/advanced). */
async function helmRecord(data: string): Promise<HelmRecord> {
    const inner = Buffer.from(Buffer.from(data, "base64").toString(), "base64");
    try {
        return JSON.parse((await unzip(inner)).toString()) as HelmRecord;
    } catch {
        // Older records are not zipped; what cannot be read is told by what it lacks.
        return inner.toString().startsWith("{") ? (JSON.parse(inner.toString()) as HelmRecord) : {};
    }
}

function mapOf(value: unknown): ChartValues {
    return isMap(value) ? value : {};
}
