import type { Connection } from "../cluster/connection";
import { checkChangedIstio, checkChangedLinkerd } from "../cluster/health/check";
import { checkControlPlane, type ControlPlaneChecks } from "../cluster/controlPlane";
import { LINKERD_PODS, type DataPlane, type PodSource } from "../cluster/dataPlane";
import { readInjection } from "../cluster/istio/injection";
import { bindNamespace } from "../cluster/istio/labels";
import { istioPods } from "../cluster/istio/pods";
import { checkRevisions } from "../cluster/istio/serving";
import { readIssuerSince, readLinkerdConfig, readTrustRoots } from "../cluster/linkerdConfig";
import { readProxySettings } from "../cluster/proxySettings";
import { recordedSince } from "../plan/proxySettings";
import { checkFaults, reviewedChecks, type Verdict } from "../plan/checks/verdict";
import { proxyTarget, type Target } from "../plan/dataPlane";
import { DEFAULT_RULES, ISTIO_RULES, type MetricRule } from "../plan/gates";
import { takesOverAsItRuns } from "../plan/given";
import { istioTarget } from "../plan/istio/target";
import { compareIstio, parseIstioVersion, type IstioVersion } from "../plan/istio/versions";
import { compareReleases, releaseOf } from "../plan/releases";
import { isFault } from "../plan/versions";
import { checkLines } from "../report/checks";
import type { HealthChecks, RolloutTarget } from "./input";

/** What a rollout has to know of a mesh. */
export interface RolloutMesh {
    /** Of the control plane; the Lease is there. */
    readonly namespace: string;
    readonly pods: PodSource;
    /** What new pods get, as the control plane is now. */
    readonly target: (connection: Connection) => Promise<Target>;
    /** Version that is upgraded from: the control plane's of Linkerd, the newest sidecar's of Istio. */
    readonly running: (connection: Connection, dataPlane: DataPlane) => Promise<string | undefined>;
    /** Whether this is somebody else's so far, and the target changes nothing that new pods get. */
    readonly takesOver: (connection: Connection) => Promise<boolean>;
    /** Of the metrics gate, where the stack file has none. */
    readonly rules: readonly MetricRule[];
    /** Makes sure that new pods choose what the stack file has, before the wave looks. @returns what had to be changed */
    readonly bind: (connection: Connection) => Promise<readonly string[]>;
    /** Whether the control plane can serve the restarts. */
    readonly check: (
        connection: Connection,
        dataPlane: DataPlane,
        health: HealthChecks | undefined,
    ) => Promise<ControlPlaneChecks>;
}

export function meshOf(target: RolloutTarget): RolloutMesh {
    if (target.mesh === "linkerd") {
        return {
            namespace: "linkerd",
            pods: LINKERD_PODS,
            rules: DEFAULT_RULES,
            bind: () => Promise.resolve([]),
            target: async ({ core }) =>
                proxyTarget(target.proxy, {
                    trustRoot: target.trustRoot,
                    issuerSince: await readIssuerSince(core, target.issuedAt),
                    settingsSince: recordedSince(await readProxySettings(core)),
                }),
            running: async ({ core }) => (await readLinkerdConfig(core))?.version,
            takesOver: async ({ core }) => {
                const [config, trustRoots] = await Promise.all([
                    readLinkerdConfig(core),
                    readTrustRoots(core),
                ]);
                return config !== undefined && takesOverAsItRuns(target, { ...config, trustRoots });
            },
            check: (connection, dataPlane, health) =>
                checkControlPlane(
                    connection,
                    target,
                    dataPlane,
                    health && (() => checkHealth(connection, target, health)),
                ),
        };
    }
    const { namespace, namespaces, choices = {} } = target;
    return {
        namespace,
        pods: istioPods(new Set(namespaces)),
        rules: ISTIO_RULES,
        bind: (connection) => bindAll(connection, choices),
        target: async (connection) => istioTarget(await readInjection(connection, namespace)),
        running: (_, { pods }) => Promise.resolve(newestOf(pods)),
        // Whose pods are stale is decided by labels, and those do not change with who installed it.
        takesOver: () => Promise.resolve(false),
        check: async (connection, _, health) => {
            const checks = await checkRevisions(connection, namespace, namespaces);
            if (checks.faults.length > 0 || health === undefined) {
                return checks;
            }
            const asked = { namespace, namespaces, validates: false, ignore: health.ignore };
            return asChecks(await checkChangedIstio(connection, asked, "between"), checks);
        },
    };
}

async function checkHealth(
    connection: Connection,
    { version, proxy }: { readonly version: string; readonly proxy: string },
    health: HealthChecks,
): Promise<ControlPlaneChecks> {
    const asked = { expected: { version, proxy }, ...health };
    return asChecks(await checkChangedLinkerd(connection, asked, "between"));
}

/** What is beside `checks` on the way to a restart. */
function asChecks(
    verdicts: readonly Verdict[],
    checks: ControlPlaneChecks = { passed: [], faults: [] },
): ControlPlaneChecks {
    return {
        passed: [...checks.passed, ...checkLines(reviewedChecks(verdicts))],
        faults: checkFaults(
            verdicts,
            "mend it; what the stack declares it repairs itself, and goes on with this wave: pulumi up --refresh",
        ),
    };
}

/** A namespace's command runs when the stack file changes; labels can be changed behind it, or by an undone restore. */
async function bindAll(
    connection: Connection,
    choices: Readonly<Record<string, string>>,
): Promise<string[]> {
    const changes: string[] = [];
    for (const [name, choice] of Object.entries(choices)) {
        const change = await bindNamespace(connection, name, choice);
        if (change !== undefined) {
            changes.push(change);
        }
    }
    return changes;
}

function newestOf(pods: DataPlane["pods"]): string | undefined {
    const versions = pods
        .map(({ proxy = "" }) => parseIstioVersion(proxy.split(" ")[0] ?? "", "proxy"))
        .filter((one): one is IstioVersion => !isFault(one));
    return versions.sort(compareIstio).at(-1)?.text;
}

/** Whether the target is older than what ran before. */
export function isRevert(from: string | undefined, { mesh, version }: RolloutTarget): boolean {
    if (from === undefined) {
        return false;
    }
    if (mesh === "linkerd") {
        const [before, after] = [releaseOf(from), releaseOf(version)];
        return before !== undefined && after !== undefined && compareReleases(after, before) < 0;
    }
    const [before, after] = [parseIstioVersion(from, "from"), parseIstioVersion(version, "to")];
    return !isFault(before) && !isFault(after) && compareIstio(after, before) < 0;
}
