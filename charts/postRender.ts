// Helm's post-renderer for the control plane: manifests on stdin, manifests on stdout.
//
// The engine applies a chart's objects side by side, where Helm and kubectl apply ConfigMaps before Deployments.
// An injector whose pod starts before linkerd-config is updated mounts the old one and goes on injecting the old
// proxy until the kubelet's next sync, a minute or more. So Deployments are told to wait for the ConfigMaps.
import { parseAllDocuments } from "yaml";

/** The provider's own way to order objects of a chart; see the docs of helm.v4.Chart. */
export const DEPENDS_ON = "config.kubernetes.io/depends-on";

interface Manifest {
    kind?: string;
    metadata?: { name?: string; namespace?: string; annotations?: Record<string, string> };
}

/** Adds the order to a stream of manifests; JSON documents come out, which are YAML without ambiguity. */
export function orderManifests(stream: string): string {
    const manifests = parseAllDocuments(stream, { version: "1.1", uniqueKeys: false })
        .map((document) => document.toJS() as Manifest | null)
        .filter((manifest) => manifest !== null);
    const configMaps = manifests.filter((manifest) => manifest.kind === "ConfigMap");
    for (const manifest of manifests.filter((one) => one.kind === "Deployment")) {
        const before = configMaps
            .filter((one) => one.metadata?.namespace === manifest.metadata?.namespace)
            .map((one) => `/namespaces/${one.metadata?.namespace}/ConfigMap/${one.metadata?.name}`);
        if (before.length > 0) {
            manifest.metadata = {
                ...manifest.metadata,
                annotations: { ...manifest.metadata?.annotations, [DEPENDS_ON]: before.join(",") },
            };
        }
    }
    // The leading separator keeps readers from taking the whole stream for one JSON text.
    return manifests.map((manifest) => `---\n${JSON.stringify(manifest)}\n`).join("");
}

async function main(): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) {
        chunks.push(chunk as Buffer);
    }
    process.stdout.write(orderManifests(Buffer.concat(chunks).toString()));
}

if (require.main === module) {
    main().catch((error: unknown) => {
        process.stderr.write(`${(error as Error).message}\n`);
        process.exitCode = 1;
    });
}
