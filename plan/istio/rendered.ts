import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import { crdVersions } from "./base";
import type { IstioConfig } from "./config";
import { removalFaults } from "./foreign";
import type { Manifests } from "./manifests";
import type { IstioRevision } from "./names";
import { latestOf } from "./revisions";
import { compareIstio, latestIstio } from "./versions";

/** What installing from rendered manifests asks for beforehand. */
export function renderedFaults(
    config: IstioConfig,
    live: LiveIstio,
    manifests: Manifests,
): Fault[] {
    const rendered = config.revisions.filter((one) => one.manifests !== undefined);
    const asm = rendered.find(({ version }) => version.kind === "asm");
    const permission: Fault = {
        subject: "permission",
        value: "no * on *",
        rule: "Anthos Service Mesh is installed by a cluster administrator only",
        next: "kubectl auth can-i '*' '*' --all-namespaces; ask for ClusterRole cluster-admin",
    };
    return [
        ...(asm && !live.clusterAdmin ? [permission] : []),
        ...(rendered.length > 0 ? foreignManifestFaults(config, live) : []),
        ...removalFaults(config, latestOf(rendered), live),
        ...renderedCrdFaults(config, latestOf(rendered), live, manifests),
        ...renderedGatewayFaults(config, manifests),
    ];
}

/** CRDs move forward only, also those of manifests; and beside a chart they are the chart's, which has to be as new. */
function renderedCrdFaults(
    { revisions }: IstioConfig,
    newest: IstioRevision | undefined,
    live: LiveIstio,
    manifests: Manifests,
): Fault[] {
    if (!newest || manifests.get(newest.name)?.crds.length === 0) {
        return [];
    }
    const subject = `istio.revisions ${newest.name}: manifests`;
    const fromCharts = latestOf(revisions.filter((one) => one.manifests === undefined));
    if (fromCharts) {
        return compareIstio(newest.version, fromCharts.version) > 0
            ? [
                  {
                      subject,
                      value: newest.version.text,
                      rule: `is newer than what the chart base brings (${fromCharts.version.text}), and CRDs come from one of them`,
                      next: "install the newest revision from the charts too, or render the others as well",
                  },
              ]
            : [];
    }
    const installed = latestIstio(crdVersions(live));
    return installed && compareIstio(installed, newest.version) > 0
        ? [
              {
                  subject,
                  value: newest.version.text,
                  rule: `its CRDs are older than the live ones (${installed.text}), which move forward only`,
                  next: "take the CustomResourceDefinitions out of the manifests: the live ones stay as they are",
              },
          ]
        : [];
}

/** A gateway comes from the manifests of its revision: they have to hold it. */
function renderedGatewayFaults({ gateways }: IstioConfig, manifests: Manifests): Fault[] {
    return gateways.flatMap(({ name, namespace, revision }, index): Fault[] => {
        const split = manifests.get(revision);
        const has = split?.gateways.some(
            (one) => one.kind === "Deployment" && one.metadata.name === name,
        );
        return split && !has
            ? [
                  {
                      subject: `istio.gateways.${index}.name`,
                      value: name,
                      rule: `the manifests of revision ${revision} have no gateway Deployment ${namespace}/${name}`,
                      next: "render them again with the gateway, or take it out of istio.gateways",
                  },
              ]
            : [];
    });
}

/** What is upgraded in place goes back with the manifests of before only: they are asked for before the way forward. */
function foreignManifestFaults({ foreign }: IstioConfig, { istiods }: LiveIstio): Fault[] {
    return foreign.flatMap(({ revision, version, remove, manifests }, index): Fault[] => {
        const running = istiods.find((one) => one.revision === revision)?.version;
        const text = version?.text ?? running ?? "";
        return manifests === undefined && !remove && text.includes("-asm.")
            ? [
                  {
                      subject: `istio.foreign.${index}.manifests`,
                      rule: `must be at hand before the way forward: going back to ${text} takes the manifests and the options with which it was installed`,
                      next: `istioctl manifest generate of the verified ${text}, with its overlays and --set; name the file there`,
                  },
              ]
            : [];
    });
}

export function foreignOptions({ foreign }: IstioConfig) {
    const none = { overlays: [], set: [] };
    return foreign.map(({ revision, manifests, options = none }) => ({
        name: revision,
        manifests,
        options,
    }));
}

/**
 * A line for each option with which an earlier revision's manifests were rendered and a later one's were not: optional
 * features that are not given again are lost. Source: Anthos Service Mesh, upgrade guide.
 */
export function optionWarnings(
    revisions: readonly Pick<IstioRevision, "name" | "manifests" | "options">[],
): readonly string[] {
    const rendered = revisions.filter(({ manifests }) => manifests !== undefined);
    return rendered.flatMap((later, index) => {
        const earlier = rendered[index - 1];
        const all = ({ options }: Pick<IstioRevision, "options">) => [
            ...options.overlays.map((path) => `-f ${path}`),
            ...options.set.map((pair) => `--set ${pair}`),
        ];
        return earlier
            ? all(earlier)
                  .filter((option) => !all(later).includes(option))
                  .map(
                      (option) =>
                          `istio: revision ${later.name} was rendered without ${option}, which ${earlier.name} has`,
                  )
            : [];
    });
}
