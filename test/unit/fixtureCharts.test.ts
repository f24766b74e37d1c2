/**
 * Looks at the files of the test charts; nothing here renders them (no Helm in this suite). That a render holds
 * exactly the listed objects is for the end-to-end suite, which compares the list with a cluster.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { describe, expect, it } from "vitest";
import {
    type FixtureChart,
    type FixtureVersion,
    fullSet,
    highAvailabilitySet,
    hookSet,
    type ObjectName,
} from "../fixtures/fullSets";

const fixtures = join(import.meta.dirname, "../fixtures/charts");
const renders = join(import.meta.dirname, "../../../shared/data");

const charts: readonly { chart: FixtureChart; objects: number }[] = [
    { chart: "linkerd-crds", objects: 10 },
    { chart: "linkerd-control-plane", objects: 40 },
    { chart: "linkerd-viz", objects: 51 },
];
const versions: readonly FixtureVersion[] = ["2024.5.3", "2024.7.5"];
const cases = versions.flatMap((version) =>
    charts.map(({ chart, objects }) => ({
        chart,
        version,
        objects,
        release: `edge-${version.slice(2)}`,
    })),
);

/** Secrets that the renders do not have: their values said that these come from elsewhere. */
const externalSecrets: Readonly<Record<FixtureChart, readonly ObjectName[]>> = {
    "linkerd-crds": [],
    "linkerd-control-plane": [
        { kind: "Secret", namespace: "linkerd", name: "linkerd-identity-issuer" },
        { kind: "Secret", namespace: "linkerd", name: "linkerd-policy-validator-k8s-tls" },
        { kind: "Secret", namespace: "linkerd", name: "linkerd-proxy-injector-k8s-tls" },
        { kind: "Secret", namespace: "linkerd", name: "linkerd-sp-validator-k8s-tls" },
    ],
    "linkerd-viz": [
        { kind: "Secret", namespace: "linkerd-viz", name: "tap-injector-k8s-tls" },
        { kind: "Secret", namespace: "linkerd-viz", name: "tap-k8s-tls" },
    ],
};

describe.each(cases)("the test chart $chart-$version", ({ chart, version, release, objects }) => {
    const folder = join(fixtures, `${chart}-${version}`);
    const read = (file: string): Record<string, unknown> =>
        parse(readFileSync(join(folder, file), "utf8")) as Record<string, unknown>;

    it("is found under the name and the version that a stack file asks for", () => {
        expect(read("Chart.yaml")).toMatchObject({
            apiVersion: "v2",
            name: chart,
            version,
            appVersion: release,
            kubeVersion: ">=1.22.0-0",
        });
    });

    it("is a complete chart that can be copied or packed: plain files, templates, no link", () => {
        const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
        expect(entries.filter((entry) => entry.isSymbolicLink())).toEqual([]);
        expect(readdirSync(join(folder, "templates"))).not.toHaveLength(0);
    });

    it("says its release in its values, where the published chart does", () => {
        // The CRD chart has no such value; its annotations show that ("linkerd/helm %!s(<nil>)").
        const expected = chart === "linkerd-crds" ? undefined : release;
        expect(read("values.yaml")["linkerdVersion"]).toBe(expected);
    });

    it(`has a full set of ${String(objects)} objects, none listed twice`, () => {
        const listed = lines(fullSet(chart, version));
        expect(listed).toHaveLength(objects);
        expect(new Set(listed).size).toBe(objects);
    });
});

describe("values that moved between the two releases", () => {
    const values = (version: FixtureVersion): Record<string, Record<string, unknown>> =>
        parse(
            readFileSync(join(fixtures, `linkerd-control-plane-${version}/values.yaml`), "utf8"),
        ) as Record<string, Record<string, unknown>>;

    it("are there to be noticed: a key that goes and two that come", () => {
        expect(values("2024.5.3")["proxyInit"]).toHaveProperty("resources");
        expect(values("2024.7.5")["proxyInit"]).not.toHaveProperty("resources");
        for (const key of ["logHTTPHeaders", "enableShutdownEndpoint"]) {
            expect(values("2024.5.3")["proxy"]).not.toHaveProperty(key);
            expect(values("2024.7.5")["proxy"]).toHaveProperty(key);
        }
    });

    it("turn on high availability in one file", () => {
        for (const version of versions) {
            const file = join(fixtures, `linkerd-control-plane-${version}/values-ha.yaml`);
            expect(parse(readFileSync(file, "utf8"))).toMatchObject({
                highAvailability: true,
                enablePodDisruptionBudget: true,
                controllerReplicas: 3,
                webhookFailurePolicy: "Fail",
            });
            expect(lines(highAvailabilitySet("linkerd-control-plane", version))).toEqual([
                "PodDisruptionBudget linkerd/linkerd-dst",
                "PodDisruptionBudget linkerd/linkerd-identity",
                "PodDisruptionBudget linkerd/linkerd-proxy-injector",
            ]);
        }
    });
});

// Skipped, and reported as skipped, in a clone that has no ../shared/data.
describe.skipIf(!existsSync(renders))("the full sets, next to renders of the real charts", () => {
    const rendered: Readonly<Record<FixtureChart, string>> = {
        "linkerd-crds": "crds",
        "linkerd-control-plane": "control-plane",
        "linkerd-viz": "viz",
    };

    it.each(cases)("list what $chart $version renders", ({ chart, version, release }) => {
        const { installed, hooks } = renderedObjects(`linkerd-${release}/${rendered[chart]}.yaml`);
        expect(lines(fullSet(chart, version))).toEqual(
            lines([...installed, ...externalSecrets[chart]]),
        );
        expect(lines(hookSet(chart, version))).toEqual(lines(hooks));
    });

    it.each(versions)("list what high availability adds in %s", (version) => {
        const { installed } = renderedObjects(
            `linkerd-edge-${version.slice(2)}/control-plane-ha.yaml`,
        );
        expect(
            lines([
                ...fullSet("linkerd-control-plane", version),
                ...highAvailabilitySet("linkerd-control-plane", version),
            ]),
        ).toEqual(lines([...installed, ...externalSecrets["linkerd-control-plane"]]));
    });
});

function lines(objects: readonly ObjectName[]): string[] {
    return objects
        .map(({ kind, namespace, name }) => `${kind} ${namespace ? `${namespace}/` : ""}${name}`)
        .sort();
}

interface Manifest {
    kind: string;
    metadata: { name: string; namespace?: string; annotations?: Record<string, string> };
}

function renderedObjects(file: string): { installed: ObjectName[]; hooks: ObjectName[] } {
    // uniqueKeys: viz of edge-24.7.5 has one key twice.
    const manifests = parseAllDocuments(readFileSync(join(renders, file), "utf8"), {
        uniqueKeys: false,
    })
        .map((document) => document.toJS() as Manifest | null)
        .filter((manifest) => manifest !== null);
    const installed: ObjectName[] = [];
    const hooks: ObjectName[] = [];
    for (const { kind, metadata } of manifests) {
        const { name, namespace, annotations } = metadata;
        const list = annotations?.["helm.sh/hook"] ? hooks : installed;
        list.push({ kind, name, ...(namespace ? { namespace } : {}) });
    }
    return { installed, hooks };
}
