import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { layout, type ClusterRecord } from "./directory";
import { freePorts } from "./ports";
import { belongsTo, endProcesses, recordedPids } from "./processes";
import { stages } from "./stages";

const components = 5;

/** A component ended while the cluster was starting; `conflict` where its port was taken. */
export class ComponentEnded extends Error {
    constructor(
        message: string,
        readonly conflict: boolean,
    ) {
        super(message);
    }
}

/** Lets kwokctl lay out and start the components. They are forked, not yet ready. */
export async function createComponents(directory: string, record: ClusterRecord): Promise<void> {
    const files = layout(directory);
    await writeFile(files.egress, JSON.stringify(egressSelector(record.socket)));
    const documents = [await configuration(directory, record), ...stages()];
    await writeFile(files.config, documents.map((one) => JSON.stringify(one)).join("\n---\n"));
    await mkdir(files.shims, { recursive: true });
    // kwokctl asks the machine's kubectl whether the API answers, and downloads one where there is
    // none. We ask ourselves (ready.ts), so it gets one that says yes.
    await writeFile(join(files.shims, "kubectl"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    const create = ["--config", files.config, "--name", record.name, "create", "cluster"];
    try {
        await promisify(execFile)(record.programs.kwokctl.path, [...create, "--kubeconfig", ""], {
            cwd: directory,
            // Not the caller's environment: no ~/.kwok, no ~/.kube, no proxy, no credentials.
            env: {
                PATH: `${files.shims}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
                HOME: directory,
                KWOK_WORKDIR: files.kwok,
            },
        });
    } catch (error) {
        const { stderr, message } = error as Error & { stderr?: string };
        throw new Error(`kwokctl could not make the cluster: ${tail(stderr ?? message)}`, {
            cause: error,
        });
    }
}

/** Throws ComponentEnded where one of the components does not run any more. */
export async function assertComponentsRun(directory: string, name: string): Promise<void> {
    const { kwok } = layout(directory);
    const pids = await recordedPids(kwok);
    if (pids.size < components) {
        throw new ComponentEnded(
            `kwokctl started ${pids.size} of ${components} components.`,
            false,
        );
    }
    for (const [component, pid] of pids) {
        if (belongsTo(directory, pid)) continue;
        const logs = join(kwok, "clusters", name, "logs");
        const log = await readFile(join(logs, `${component}.log`), "utf8").catch(() => "(no log)");
        throw new ComponentEnded(
            `${component} ended while the cluster started: ${tail(log)}`,
            /address already in use/.test(log),
        );
    }
}

/** Ends all components and forgets what kwokctl laid out. */
export async function removeComponents(directory: string): Promise<void> {
    const { kwok } = layout(directory);
    await endProcesses(directory, (await recordedPids(kwok)).values());
    await rm(kwok, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** The kubeconfig that kwokctl wrote; it refers to key files beside it. */
export async function kwokKubeconfig(directory: string): Promise<string> {
    const clusters = join(layout(directory).kwok, "clusters");
    const [cluster = ""] = await readdir(clusters);
    return join(clusters, cluster, "kubeconfig.yaml");
}

function egressSelector(socket: string): object {
    return {
        apiVersion: "apiserver.k8s.io/v1beta1",
        kind: "EgressSelectorConfiguration",
        egressSelections: [
            {
                name: "cluster",
                connection: {
                    proxyProtocol: "HTTPConnect",
                    transport: { uds: { udsName: socket } },
                },
            },
        ],
    };
}

/**
 * Aggregated APIs are told whose headers to trust, as kubeadm and every managed cluster do; `linkerd check --pre` asks for it.
 * The CA is the only one there is, and nobody has a certificate of that name.
 */
function requestHeaders(directory: string, cluster: string): Record<string, string> {
    const pki = join(layout(directory).kwok, "clusters", cluster, "pki");
    return {
        "requestheader-client-ca-file": join(pki, "ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    };
}

async function configuration(directory: string, record: ClusterRecord): Promise<object> {
    const [etcd, peer, api, manager, scheduler, kwok] = await freePorts(6);
    const extra = (name: string, args: Record<string, string>) => ({
        name,
        extraArgs: Object.entries(args).map(([key, value]) => ({ key, value })),
    });
    const controller = {
        // An election of one instance only delays the start, and ends the process when a busy
        // machine makes it miss a renewal.
        "leader-elect": "false",
        "kube-api-qps": "5000",
        "kube-api-burst": "10000",
    };
    return {
        apiVersion: "config.kwok.x-k8s.io/v1alpha1",
        kind: "KwokctlConfiguration",
        options: {
            runtime: "binary",
            // kwokctl's own default is 0.0.0.0, and etcd asks for no credentials.
            bindAddress: "127.0.0.1",
            // It would turn off the API server's priority and fairness as well, and then no client
            // ever meets a 429. The controllers' own limits are lifted below.
            disableQPSLimits: false,
            etcdBinary: record.programs.etcd.path,
            kubeApiserverBinary: record.programs["kube-apiserver"].path,
            kubeControllerManagerBinary: record.programs["kube-controller-manager"].path,
            kubeSchedulerBinary: record.programs["kube-scheduler"].path,
            kwokControllerBinary: record.programs.kwok.path,
            etcdPort: etcd,
            etcdPeerPort: peer,
            kubeApiserverPort: api,
            kubeControllerManagerPort: manager,
            kubeSchedulerPort: scheduler,
            kwokControllerPort: kwok,
            // Where another cluster's etcd has taken our port, our API server talks to that one
            // until we notice: a prefix of its own keeps it from touching the other's objects.
            etcdPrefix: `/${record.name}-${randomBytes(8).toString("hex")}`,
        },
        componentsPatches: [
            extra("etcd", { "unsafe-no-fsync": "true" }),
            {
                ...extra("kube-apiserver", {
                    "egress-selector-config-file": layout(directory).egress,
                    ...requestHeaders(directory, record.name),
                }),
                // Collecting garbage less often saves a tenth of its time. More workers in the
                // controllers cost time instead: they write the states in between, too.
                ...(record.large === true && { extraEnvs: [{ name: "GOGC", value: "400" }] }),
            },
            extra("kube-controller-manager", controller),
            extra("kube-scheduler", controller),
        ],
    };
}

function tail(text: string): string {
    return text.trim().split("\n").slice(-5).join("\n");
}
