import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { mint } from "../../../plan/certificates";

/**
 * The same three charts with as little around them as a program can have: no look at the cluster, no plan, no rollout. What
 * a preview of it takes, any program with these charts takes.
 */
export = async () => {
    const config = new pulumi.Config();
    const charts = config.require("charts");
    const version = config.require("version");
    const linkerdVersion = version.replace(/^20/, "edge-");
    const now = new Date();
    const root = "root.linkerd.cluster.local";
    const anchor = await mint({ name: root, authority: true, years: 10, now });
    const name = "identity.linkerd.cluster.local";
    const issuer = await mint({ name, issuer: anchor, authority: true, years: 1, now });
    const provider = new k8s.Provider("cluster", {
        kubeconfig: config.require("kubeconfig"),
        context: config.require("context"),
        upsertExistingObjects: true,
    });
    const crds = new k8s.helm.v4.Chart(
        "linkerd-crds",
        { chart: `${charts}/linkerd-crds-${version}`, values: { linkerdVersion } },
        { provider },
    );
    const controlPlane = new k8s.helm.v4.Chart(
        "linkerd-control-plane",
        {
            chart: `${charts}/linkerd-control-plane-${version}`,
            namespace: "linkerd",
            values: {
                linkerdVersion,
                identityTrustAnchorsPEM: anchor.certificate,
                identity: { issuer: { tls: { crtPEM: issuer.certificate, keyPEM: issuer.key } } },
            },
        },
        { provider, dependsOn: crds },
    );
    new k8s.helm.v3.Release(
        "linkerd-viz",
        {
            chart: `${charts}/linkerd-viz-${version}`,
            namespace: "linkerd-viz",
            values: { linkerdVersion },
        },
        { provider, dependsOn: controlPlane },
    );
};
