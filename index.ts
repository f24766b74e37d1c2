import * as pulumi from "@pulumi/pulumi";
import { locateCharts } from "./charts/source";
import { ClusterError, connect } from "./cluster/connection";
import { observeDataPlane } from "./cluster/dataPlane";
import { observeLinkerd } from "./cluster/linkerd";
import { declareLinkerd } from "./components/linkerd/linkerd";
import { readConfig } from "./config";
import { planDataPlane } from "./plan/dataPlane";
import { formatFaults, RefusedError } from "./plan/faults";
import { chartFaults, crdVersion, planLinkerd } from "./plan/linkerd";
import { previewLines } from "./report/preview";

async function program() {
    const config = await readConfig();
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;

    const connection = await connect(config);
    const [live, dataPlane] = await Promise.all([
        observeLinkerd(connection),
        observeDataPlane(connection),
    ]);

    const crds = crdVersion(config.linkerdVersion, live);
    const charts = await locateCharts(config.charts, [
        { name: "linkerd-crds", version: crds.chartVersion },
        { name: "linkerd-control-plane", version: config.linkerdVersion.chartVersion },
        { name: "linkerd-viz", version: config.linkerdVersion.chartVersion },
    ]);
    const plan = await planLinkerd(config, live, stack, new Date());
    const faults = [...chartFaults(charts, live.serverVersion), ...("version" in plan ? [] : plan)];
    if (!("version" in plan) || faults.length > 0) {
        throw new RefusedError(faults);
    }
    for (const line of previewLines(plan, planDataPlane(dataPlane, plan.proxy))) {
        await pulumi.log.info(line);
    }

    return declareLinkerd({ config, stack, plan, charts, connection });
}

/** Refusals are for people: their text, without a stack trace. */
export = async () => {
    try {
        return await program();
    } catch (error) {
        if (error instanceof RefusedError) {
            throw new pulumi.RunError(error.message);
        }
        if (error instanceof ClusterError) {
            throw new pulumi.RunError(formatFaults([error]));
        }
        throw error;
    }
};
