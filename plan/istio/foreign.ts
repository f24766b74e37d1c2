import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import type { IstioConfig } from "./config";
import type { ForeignRevision, IstioRevision } from "./names";
import { DEFAULT } from "./section";
import { isFrom } from "./versions";

export function foreignDefault({ foreign }: IstioConfig): ForeignRevision | undefined {
    return foreign.find(({ revision }) => revision === DEFAULT);
}

export function foreignFaults({ foreign, namespace }: IstioConfig, live: LiveIstio): Fault[] {
    return foreign.flatMap(({ revision, version, remove }, index): Fault[] => {
        const subject = `istio.foreign.${index}`;
        const found = live.istiods.find((one) => one.revision === revision);
        if (!found) {
            return remove
                ? []
                : [
                      {
                          subject: `${subject}.revision`,
                          value: revision,
                          rule: `namespace ${namespace} has no istiod of this revision`,
                          next: `kubectl -n ${namespace} get deployments -l app=istiod --show-labels; then correct or remove the entry`,
                      },
                  ];
        }
        return version && found.version !== version.text
            ? [
                  {
                      subject: `${subject}.version`,
                      value: version.text,
                      rule: `Deployment ${namespace}/${found.name} runs ${found.version}`,
                      next: `set version: ${found.version}, if that is the one that is meant`,
                  },
              ]
            : [];
    });
}

/** Service istiod goes over to a revision that serves already. */
export function removalFaults(
    config: IstioConfig,
    newest: IstioRevision | undefined,
    { istiods }: LiveIstio,
): Fault[] {
    const found = istiods.some(({ revision }) => revision === DEFAULT);
    const serves = istiods.some(({ revision }) => revision === newest?.name);
    return newest && !serves && found && foreignDefault(config)?.remove
        ? [
              {
                  subject: "istio.foreign: remove",
                  value: DEFAULT,
                  rule: `Service istiod goes over to revision ${newest.name} first, which is not installed yet`,
                  next: "install it beside, move everybody, and remove the old control plane in an update of its own",
              },
          ]
        : [];
}

/**
 * Something has to validate Istio's objects when a control plane without a name goes; and as long as it is there, tag
 * `default` would inject the same namespaces a second time.
 */
export function defaultFaults(config: IstioConfig, live: LiveIstio): Fault[] {
    const { revisions, defaultRevision } = config;
    if (!live.istiods.some(({ revision }) => revision === DEFAULT)) {
        return [];
    }
    const foreign = foreignDefault(config);
    if (!foreign && defaultRevision !== undefined) {
        return [
            {
                subject: "istio.defaultRevision",
                value: defaultRevision,
                rule: "the control plane without a revision name is still there and injects the namespaces that choose default: two would inject them",
                next: "name it in istio.foreign (revision: default; remove: true, if it is to go), or leave defaultRevision out",
            },
        ];
    }
    const modern = revisions.some(({ version }) => isFrom(version, "1.10"));
    return foreign?.remove && modern && defaultRevision === undefined
        ? [
              {
                  subject: "istio.defaultRevision",
                  rule: "must be set before the control plane without a revision name goes: the default validator calls it, and without it no object of Istio could be written",
                  next: `istio.defaultRevision: ${revisions.at(-1)?.name}`,
              },
          ]
        : [];
}

/** The tag `default` is made after the removal only: until then these stay with the control plane that goes. */
export function leavingFaults(config: IstioConfig, { istiods }: LiveIstio): Fault[] {
    const leaves =
        foreignDefault(config)?.remove === true &&
        istiods.some(({ revision }) => revision === DEFAULT);
    const bound = [...config.target].filter(([, { choice }]) => choice === DEFAULT);
    return leaves
        ? bound.map(([namespace]) => ({
              subject: `istio.namespaces.${namespace}`,
              value: DEFAULT,
              rule: "is injected by the control plane without a revision name, which would go last and only if nothing uses it",
              next: "choose a tag or a revision; default may be chosen again once that control plane has gone",
          }))
        : [];
}
