import * as k8s from "@kubernetes/client-node";
import { isDeepStrictEqual } from "node:util";
import { unknownChoice } from "../../plan/istio/injection";
import { KubeApi } from "../api";
import { found, listAll, type Connection } from "../connection";
import { DEFAULT, INJECTION_LABEL, injectorsIn, REVISION_LABEL } from "./injection";

/** On a namespace: its labels about injection as they were before the stack changed them, as JSON. */
export const LABELS_BEFORE = "mesh-upgrade/istio-labels-before";

type Labels = Readonly<Record<string, string | null>>;

/**
 * Lets the namespace choose a revision or a tag (`default`: istio-injection=enabled). The labels of before are kept in an
 * annotation, once. @returns what was changed, in words; undefined where it chooses that already
 */
export async function bindNamespace(
    connection: Connection,
    name: string,
    choice: string,
): Promise<string | undefined> {
    const namespace = await connection.core.readNamespace({ name });
    const { labels = {}, annotations = {} } = namespace.metadata ?? {};
    const wanted =
        choice === DEFAULT
            ? { [INJECTION_LABEL]: "enabled", [REVISION_LABEL]: null }
            : { [INJECTION_LABEL]: null, [REVISION_LABEL]: choice };
    const kept = annotations[LABELS_BEFORE];
    if (kept !== undefined && isDeepStrictEqual(aboutInjection(labels), wanted)) {
        return undefined;
    }
    const before = kept ?? JSON.stringify(aboutInjection(labels));
    await patch(connection, name, wanted, before);
    return `namespace ${name}: ${inWords(aboutInjection(labels))} -> ${inWords(wanted)}`;
}

/** Puts the labels of before back. `exists`: whether the namespace is still there. */
export async function restoreNamespace(
    connection: Connection,
    name: string,
): Promise<{ readonly text: string; readonly exists: boolean }> {
    const namespace = await found(connection.core.readNamespace({ name }));
    if (!namespace || namespace.metadata?.deletionTimestamp) {
        return { text: `namespace ${name} is gone`, exists: false };
    }
    const { labels = {}, annotations = {} } = namespace.metadata ?? {};
    const kept = annotations[LABELS_BEFORE];
    if (kept === undefined) {
        return { text: `namespace ${name}: its labels are as they were`, exists: true };
    }
    const before = JSON.parse(kept) as Labels;
    const gone = await chosenInVain(connection, name, before);
    if (gone !== undefined) {
        // With that label new pods would get no sidecar at all, and nobody would say so.
        const text = `namespace ${name}: its labels stay as they are (${inWords(aboutInjection(labels))}), because those of before choose ${gone}, which nobody serves any more`;
        return { text, exists: true };
    }
    await patch(connection, name, before, null);
    const text = `namespace ${name}: ${inWords(aboutInjection(labels))} -> ${inWords(before)}, as before`;
    return { text, exists: true };
}

async function chosenInVain(
    connection: Connection,
    name: string,
    before: Labels,
): Promise<string | undefined> {
    const admission = connection.kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
    const configurations = await listAll((page) =>
        admission.listMutatingWebhookConfiguration(page),
    );
    const labels = Object.fromEntries(
        Object.entries(before).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
    );
    const anyPod = { labels: {}, annotations: {}, hostNetwork: false };
    return unknownChoice(configurations.flatMap(injectorsIn), { name, labels }, anyPod);
}

function aboutInjection(labels: Readonly<Record<string, string>>): Labels {
    return {
        [INJECTION_LABEL]: labels[INJECTION_LABEL] ?? null,
        [REVISION_LABEL]: labels[REVISION_LABEL] ?? null,
    };
}

async function patch(
    connection: Connection,
    name: string,
    labels: Labels,
    before: string | null,
): Promise<void> {
    const api = new KubeApi(connection);
    try {
        await api.mergePatch(`/api/v1/namespaces/${name}`, {
            metadata: { labels, annotations: { [LABELS_BEFORE]: before } },
        });
    } finally {
        api.close();
    }
}

function inWords(labels: Labels): string {
    const set = Object.entries(labels).filter(([, value]) => value !== null);
    return set.map(([key, value]) => `${key}=${value}`).join(", ") || "no label";
}
