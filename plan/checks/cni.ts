import type { Evaluators } from "./evaluator";
import { onNodesText } from "../cni";
import type { HealthCni, LinkerdHealth } from "./observation";
import { failed, given, ok, skipped, type Finding } from "./result";

const exists =
    (kind: keyof HealthCni["objects"]) =>
    (health: LinkerdHealth): Finding =>
        withPlugin(health, ({ objects }) =>
            objects[kind]
                ? ok(`${kind} of the CNI plugin exists`)
                : failed(`${kind} of the CNI plugin is missing`),
        );

export const cniChecks: Evaluators = {
    "cni-plugin-cm-exists": exists("ConfigMap"),
    "cni-plugin-cr-exists": exists("ClusterRole"),
    "cni-plugin-crb-exists": exists("ClusterRoleBinding"),
    "cni-plugin-sa-exists": exists("ServiceAccount"),
    "cni-plugin-ds-exists": exists("DaemonSet"),
    "cni-plugin-ready": (health) =>
        withPlugin(health, (cni) => (cni.ready >= cni.desired ? ok : failed)(onNodesText(cni))),
};

function withPlugin({ cni }: LinkerdHealth, judge: (cni: HealthCni) => Finding): Finding {
    return cni === undefined ? skipped("cniEnabled is not set") : given(cni, judge);
}
