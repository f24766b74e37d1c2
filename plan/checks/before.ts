import type { HealthQuestion } from "../../cluster/health/linkerd";
import type { LiveLinkerd } from "../../cluster/linkerd";
import type { LiveIstio } from "../../cluster/istio/observe";
import type { IstioStackConfig, LinkerdStackConfig } from "../../config";
import { proxyTagOf } from "../given";
import type { IstioPlan } from "../istio/plan";
import { changeOf, type LinkerdPlan } from "../linkerd";
import { WEBHOOKS } from "../webhooks";
import { certificateCheckOf } from "./certificates";
import type { Update } from "./verdict";

/** Before an update the mesh has to be what it says that it is; the target is expected afterwards. */
export function questionBefore(
    config: LinkerdStackConfig,
    live: LiveLinkerd,
    stack: string,
): HealthQuestion {
    const { viz, release, values } = live.installation;
    const version = live.linkerdVersion ?? config.linkerdVersion.tag;
    return {
        expected: { version, proxy: proxyTagOf(values, version) },
        // Somebody else's is not what this update has to leave well.
        viz: config.viz.enabled && (viz.length > 0 || release !== undefined),
        install: live.installed ? undefined : { stack },
    };
}

/** Istio is upgraded by one more revision; without one, nothing but the way back or a repair is asked for. */
export function istioUpdateOf(
    config: IstioStackConfig,
    live: LiveIstio,
    plan: Pick<IstioPlan, "revisions" | "newest">,
    preview: boolean,
): Update {
    const adds = plan.revisions.some(
        ({ name }) => !live.istiods.some(({ revision }) => revision === name),
    );
    return {
        change: live.istiods.length === 0 ? "install" : adds ? "upgrade" : "none",
        unfinished: live.updating,
        target: plan.newest,
        ignore: config.checks.ignore,
        replaced: [],
        running: undefined,
        preview,
    };
}

/** What the update is to the mesh. `plan` is undefined where it is refused for other reasons. */
export function updateOf(
    config: LinkerdStackConfig,
    live: LiveLinkerd,
    plan: Pick<LinkerdPlan, "webhooks"> | undefined,
    preview: boolean,
): Update {
    const renewed = WEBHOOKS.filter(
        ({ service }) =>
            plan?.webhooks.leaves[service]?.certificate !==
            live.webhooks.leaves[service]?.certificate,
    );
    return {
        change: changeOf(config.linkerdVersion, live),
        unfinished: live.namespaces.find(({ name }) => name === "linkerd")?.updating,
        target: config.linkerdVersion.tag,
        ignore: config.checks.ignore,
        replaced: renewed.map(({ service }) => certificateCheckOf(service)),
        running: live.linkerdVersion,
        preview,
    };
}
