import * as pulumi from "@pulumi/pulumi";
import { locateCharts } from "./charts/source";
import { KubeApi } from "./cluster/api";
import { ClusterError, connect, reasonOf } from "./cluster/connection";
import { observeDataPlane } from "./cluster/dataPlane";
import { observeLinkerd } from "./cluster/linkerd";
import { failure } from "./components/failure";
import { declareLinkerd } from "./components/linkerd/linkerd";
import { readConfig } from "./config";
import { selectables } from "./plan/dataPlane";
import { formatFaults, RefusedError } from "./plan/faults";
import { chartFaults, crdVersion, planLinkerd } from "./plan/linkerd";
import { overlapFaults } from "./plan/waves";
import { previewLines } from "./report/preview";

async function program() {
    const config = await readConfig();
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;

    const connection = await connect(config);
    const live = await observeLinkerd(connection).catch(forbidden("the installation"));
    const dataPlane = await observeDataPlane(new KubeApi(connection)).catch((error: unknown) => {
        // Preview may go on without the list of workloads; an update may not.
        const reason = reasonOf(error);
        return pulumi.runtime.isDryRun() ? reason : forbidden("the data plane")(error);
    });

    const version = config.linkerdVersion;
    const [charts, plan] = await Promise.all([
        locateCharts(config.charts, [
            { name: "linkerd-crds", version: crdVersion(version, live).chartVersion },
            { name: "linkerd-control-plane", version: version.chartVersion },
            { name: "linkerd-viz", version: version.chartVersion },
        ]),
        planLinkerd(config, live, stack, new Date()),
    ]);
    const { waves } = config.rollout;
    const faults = [
        ...charts.faults,
        ...chartFaults(charts.located, live.serverVersion),
        ...(typeof dataPlane === "string"
            ? []
            : overlapFaults(waves, selectables(dataPlane), dataPlane.namespaceLabels)),
    ];
    if (!("version" in plan) || faults.length > 0) {
        throw new RefusedError([...("version" in plan ? [] : plan), ...faults]);
    }
    for (const line of previewLines(plan, dataPlane, waves)) {
        await pulumi.log.info(line);
    }

    return declareLinkerd({ config, stack, plan, charts: charts.located, connection });
}

/** Turns an API server's refusal into a refusal of ours. */
function forbidden(what: string) {
    return (error: unknown): never => {
        throw new RefusedError([
            {
                subject: `reading ${what}`,
                rule: `the API server does not answer it: ${reasonOf(error)}`,
                next: "kubectl auth can-i --list, and ask for the missing permission",
            },
        ]);
    };
}

/** Refusals are for people: their text, without a stack trace. */
export = async () => {
    try {
        return await program();
    } catch (error) {
        if (error instanceof RefusedError) {
            throw failure(error.message);
        }
        if (error instanceof ClusterError) {
            throw failure(formatFaults([error]));
        }
        throw error;
    }
};
