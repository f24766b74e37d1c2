import * as k8s from "@kubernetes/client-node";
import { mint } from "../../../plan/certificates";
import { WEBHOOKS, webhookName, webhookSecret } from "../../../plan/webhooks";
import type { Journey } from "./journey";

const HOUR_MS = 3_600_000;

/** Gives every webhook a certificate of the stack's CA that is an hour old, as if the journey had waited. */
export async function ageWebhooks({ connection: { core } }: Journey): Promise<void> {
    const { data } = await core.readNamespacedSecret({
        namespace: "linkerd",
        name: "linkerd-webhook-ca",
    });
    const decode = (key: string) => Buffer.from(data?.[key] ?? "", "base64").toString();
    const issuer = { certificate: decode("tls.crt"), key: decode("tls.key") };
    const { items } = await core.listSecretForAllNamespaces();
    const names = new Set(items.map((one) => `${one.metadata?.namespace}/${one.metadata?.name}`));
    for (const webhook of WEBHOOKS) {
        const { namespace } = webhook;
        const name = webhookSecret(webhook.service);
        if (!names.has(`${namespace}/${name}`)) {
            continue;
        }
        const pair = await mint({
            name: webhookName(webhook),
            issuer,
            authority: false,
            years: 2,
            now: new Date(Date.now() - HOUR_MS),
        });
        const stringData = { "tls.crt": pair.certificate, "tls.key": pair.key };
        await core.patchNamespacedSecret({ namespace, name, body: { stringData } }, MERGE);
    }
}

const MERGE = k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch);
