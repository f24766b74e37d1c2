import { beforeAll, describe, expect, it } from "vitest";
import { newestRelease } from "../../cluster/adoption";
import { parseConfig, type ChartValues, type LinkerdStackConfig } from "../../config";
import { mint } from "../../plan/certificates";
import type { Fault } from "../../plan/faults";
import { planLinkerd } from "../../plan/linkerd";
import { releaseFaults, releaseKeyFaults } from "../../plan/vizRelease";
import { helmRecord } from "./support/helmRecord";
import { EMPTY, NOTHING, VIZ } from "./support/live";

describe("a viz release that was left half-way", () => {
    it.each([undefined, "deployed", "failed", "superseded", "uninstalled"])(
        "is no fault as %s",
        (status) => {
            const release = status === undefined ? undefined : { revision: 2, status };
            expect(releaseFaults({ release, viz: [VIZ] })).toEqual([]);
        },
    );

    const forget = (revision: number) =>
        `kubectl -n linkerd-viz delete secret sh.helm.release.v1.linkerd-viz.v${revision}`;
    it.each([
        {
            name: "a first install with nothing there",
            release: { revision: 1, status: "pending-install" },
            viz: [],
            next: `helm -n linkerd-viz uninstall linkerd-viz (or: ${forget(1)})`,
        },
        {
            name: "a first install over a viz that was there before, which nothing may delete",
            release: { revision: 1, status: "pending-install" },
            viz: [VIZ],
            next: `${forget(1)} (the objects stay, and the next update takes them)`,
        },
        {
            name: "an upgrade",
            release: { revision: 3, status: "pending-upgrade" },
            viz: [VIZ],
            next: `helm -n linkerd-viz rollback linkerd-viz 2 (or: ${forget(3)})`,
        },
        {
            name: "a rollback",
            release: { revision: 4, status: "pending-rollback" },
            viz: [VIZ],
            next: `helm -n linkerd-viz rollback linkerd-viz 3 (or: ${forget(4)})`,
        },
    ])("is refused with the command that repairs it: $name", ({ release, viz, next }) => {
        const { revision, status } = release;
        expect(releaseFaults({ release, viz })).toEqual([
            {
                subject: "Helm release linkerd-viz/linkerd-viz",
                value: status,
                rule: `revision ${revision} was interrupted; Helm refuses another operation on it`,
                next: `${next}, then: pulumi up --refresh`,
            },
        ]);
    });
});

describe("a viz release whose values hold private keys would bring them into the state", () => {
    const STACK = "acme/mesh/prod";
    const now = new Date("2026-11-21T00:00:00Z");
    let key: string;
    beforeAll(async () => {
        ({ key } = await mint({ name: "tap.linkerd-viz.svc", authority: false, years: 1, now }));
    });

    const record = (revision: number, config: ChartValues) =>
        helmRecord("linkerd-viz", revision, { config });
    const keys = () => ({
        tap: { caBundle: "ca", crtPEM: "crt", keyPEM: key },
        tapInjector: { keyPEM: key },
    });

    it("so it is refused with the commands that move them out, and no key is shown", async () => {
        const release = await newestRelease([record(1, {}), record(2, keys())]);
        const faults = releaseKeyFaults(release);
        expect(faults).toMatchObject([
            {
                subject: "Helm release linkerd-viz/linkerd-viz",
                value: "tap.keyPEM, tapInjector.keyPEM",
                next: [
                    "move them out of the values, into Secrets that stay: kubectl -n linkerd-viz annotate secret tap-k8s-tls tap-injector-k8s-tls helm.sh/resource-policy=keep --overwrite",
                    "kubectl get apiservice v1alpha1.tap.linkerd.io -o jsonpath='{.spec.caBundle}' | base64 -d > tap-ca.crt",
                    "kubectl get mutatingwebhookconfiguration linkerd-tap-injector-webhook-config -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d > tap-injector-ca.crt",
                    "helm -n linkerd-viz upgrade linkerd-viz CHART --reuse-values --set tap.externalSecret=true,tapInjector.externalSecret=true,tap.keyPEM=,tapInjector.keyPEM= --set-file tap.caBundle=tap-ca.crt,tapInjector.caBundle=tap-injector-ca.crt (CHART: linkerd-viz 2024.5.3, which runs)",
                    "pulumi preview",
                ].join("; then: "),
            },
        ]);
        expect(JSON.stringify(faults)).not.toContain(key.split("\n")[1]);
    });

    it("goes on once the newest revision holds none", async () => {
        const moved = { tap: { keyPEM: "", externalSecret: true } };
        const release = await newestRelease([record(2, moved), record(1, keys())]);
        expect(release?.revision).toBe(2);
        expect(releaseKeyFaults(release)).toEqual([]);
    });

    it.each([
        { name: "with adopt", more: { adopt: "true" }, subjects: ["tap.keyPEM"] },
        {
            name: "not where the stack has no viz",
            more: { adopt: "true", viz: { enabled: false } },
            subjects: [],
        },
    ])("is looked at before anything changes: $name", async ({ more, subjects }) => {
        const release = await newestRelease([record(1, { tap: { keyPEM: key } })]);
        const config = parseConfig({
            context: "kind",
            clusterUid: "0a1b",
            linkerdVersion: "edge-24.5.3",
            ...more,
        }) as LinkerdStackConfig;
        const live = { ...EMPTY, installation: { ...NOTHING, release } };
        const plan = await planLinkerd(config, live, { stack: STACK, now });
        const faults = (Array.isArray(plan) ? plan : []) as readonly Fault[];
        expect(faults.map(({ value }) => value)).toEqual(subjects);
    });
});
