import { execFile } from "node:child_process";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as k8s from "@kubernetes/client-node";
import { parse } from "yaml";
import { startLeashed, type Leashed } from "../../../embedded/leash";
import { CERT_MANAGER_PARTS } from "../../../plan/certManager";
import { ensureToolchain } from "../../../toolchain/index";
import { kubeconfigOf, type Journey } from "./journey";
import { waitFor } from "./waiting";

const MODULE = "github.com/cert-manager/cert-manager";
const GO_FOLDER = fileURLToPath(new URL("../../../toolchain/go/cert-manager", import.meta.url));

/** The real controllers and the real injector, beside the cluster (toolchain/go/cert-manager). */
export interface CertManager {
    /** Its last words. */
    readonly log: string;
    /** Ends it. Safe to repeat. */
    stop(): Promise<void>;
}

/** The CRDs of the pinned version, from the module itself. */
export async function installCrds({ connection }: Journey): Promise<void> {
    const { stdout } = await promisify(execFile)("go", ["mod", "download", "-json", MODULE], {
        cwd: GO_FOLDER,
    });
    const { Dir } = JSON.parse(stdout) as { Dir: string };
    const folder = join(Dir, "deploy", "crds");
    const extensions = connection.kubeconfig.makeApiClient(k8s.ApiextensionsV1Api);
    for (const file of (await readdir(folder)).filter((one) => one.startsWith("cert-manager.io"))) {
        const body = parse(
            await readFile(join(folder, file), "utf8"),
        ) as k8s.V1CustomResourceDefinition;
        await extensions.createCustomResourceDefinition({ body });
    }
    await waitFor("cert-manager's CRDs", async () => {
        const { items } = await extensions.listCustomResourceDefinition();
        return items
            .filter(({ spec }) => spec.group === "cert-manager.io")
            .every(({ status }) =>
                status?.conditions?.some(
                    (one) => one.type === "Established" && one.status === "True",
                ),
            );
    });
}

/** Deployments as cert-manager's chart labels them; the cluster simulates their pods. */
export async function createDeployments({ connection }: Journey): Promise<void> {
    const namespace = "cert-manager";
    await connection.core.createNamespace({ body: { metadata: { name: namespace } } });
    for (const part of CERT_MANAGER_PARTS) {
        const name = part === "controller" ? "cert-manager" : `cert-manager-${part}`;
        const labels = {
            "app.kubernetes.io/instance": "cert-manager",
            "app.kubernetes.io/component": part,
        };
        const containers = [{ name, image: `quay.io/jetstack/cert-manager-${part}:v1.21.2` }];
        await connection.apps.createNamespacedDeployment({
            namespace,
            body: {
                metadata: { name, labels },
                spec: {
                    selector: { matchLabels: labels },
                    template: { metadata: { labels }, spec: { containers } },
                },
            },
        });
    }
    await waitFor("cert-manager's Deployments", async () => {
        const { items } = await connection.apps.listNamespacedDeployment({ namespace });
        return items.every(({ status }) => status?.availableReplicas === 1);
    });
}

/** Starts what signs and injects; its CRDs have to be there. */
export async function startCertManager({ cluster }: Journey): Promise<CertManager> {
    const { programs } = await ensureToolchain({
        with: ["cert-manager"],
        progress: (line) => console.log(line),
    });
    const kubeconfig = await kubeconfigOf(cluster);
    kubeconfig.setCurrentContext(cluster.context);
    const file = join(cluster.directory, "cert-manager.kubeconfig");
    await writeFile(file, kubeconfig.exportConfig(), { mode: 0o600 });
    const running: Leashed = startLeashed(programs["cert-manager"].path, [`--kubeconfig=${file}`]);
    return {
        get log() {
            return running.log;
        },
        stop: () => running.end(),
    };
}
