import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../config";
import { RefusedError } from "../../plan/faults";
import {
    isInWave,
    overlapFaults,
    REST,
    rollout,
    scopeOf,
    selects,
    type Selectable,
    type Selector,
} from "../../plan/waves";

const shop = { name: "shop", select: [{ namespaces: ["shop"] }] };
const defaults = {
    timeout: "10m",
    pace: 100,
    atOnce: 50,
    soak: "10s",
    jobs: "report",
    disruptionBudgets: "respect",
    gates: { pause: false },
};

describe("the section rollout of the stack file", () => {
    it("may be empty: one wave takes everything, at the pace of the guides", () => {
        expect(rollout.parse({})).toEqual({
            events: false,
            waves: [{ name: "rest", select: [], ...defaults }],
        });
    });

    it("sets for all waves what a wave does not set for itself, rest included", () => {
        const { events, waves } = rollout.parse({
            events: true,
            pace: "unlimited",
            limit: "1h",
            soak: "0s",
            gates: { pause: true },
            waves: [
                { ...shop, pace: 5, atOnce: "unlimited", gates: {} },
                { name: "db", select: [{ workloads: ["StatefulSet/db"] }], limit: "2h" },
            ],
        });
        const common = { ...defaults, pace: "unlimited", limit: "1h", soak: "0s" };
        const pause = { pause: true };
        expect(events).toBe(true);
        expect(waves).toEqual([
            // The gates of a wave take the place of the common ones altogether.
            { ...common, ...shop, pace: 5, atOnce: "unlimited", gates: { pause: false } },
            {
                ...common,
                name: "db",
                select: [{ workloads: ["StatefulSet/db"] }],
                limit: "2h",
                gates: pause,
            },
            { ...common, name: "rest", select: [], gates: pause },
        ]);
    });

    it("lets rest have settings of its own, in the last place", () => {
        const { waves } = rollout.parse({ waves: [shop, { name: "rest", jobs: "wait" }] });
        expect(waves.map(({ name, jobs }) => [name, jobs])).toEqual([
            ["shop", "report"],
            ["rest", "wait"],
        ]);
    });

    it("fills in what a gate leaves open", () => {
        const gates = { metrics: {}, command: { run: ["./ok"] }, http: { url: "http://shop/ok" } };
        expect(rollout.parse({ gates }).waves[0]?.gates).toEqual({
            metrics: { prometheus: "viz", window: "5m", limit: "15m" },
            command: { run: ["./ok"], limit: "1m" },
            http: { url: "http://shop/ok", limit: "1m" },
            pause: false,
        });
    });
});

/** `subject: rule` of each fault, as `parseConfig` tells them. */
function faultsOf(section: unknown): string[] {
    const required = { context: "prod", clusterUid: "0a1b", linkerdVersion: "edge-24.7.5" };
    try {
        parseConfig({ ...required, rollout: section });
        return [];
    } catch (error) {
        return (error as RefusedError).faults.map(({ subject, rule }) => `${subject}: ${rule}`);
    }
}

describe("a mistake in the waves is named by its key, with what would be accepted", () => {
    const duration = "must be a duration such as 90s, 10m or 1h";
    const pace = "must be pods per minute, 1 or more, or unlimited";
    const name = "must be of 1 to 40 lower-case letters, digits and dashes, a letter first";
    const reserved = "is the name of a resource that goes with the waves; choose another";
    const nothing =
        "selects nothing; name namespaces, namespaceLabels, workloads or workloadLabels";
    const workload = "must be a name, such as web, or Kind/name";
    const wave = (fields: object) => ({ waves: [{ ...shop, ...fields }] });
    const select = (entry: object) => wave({ select: [entry] });
    const gates = (fields: object) => ({ gates: fields });
    const cases: [section: object, ...faults: string[]][] = [
        [{ pace: 0 }, `rollout.pace: ${pace}`],
        [{ pace: "fast" }, `rollout.pace: ${pace}`],
        [{ pace: 1.5 }, `rollout.pace: ${pace}`],
        [wave({ pace: -1 }), `rollout.waves.0.pace: ${pace}`],
        [{ atOnce: 0 }, "rollout.atOnce: must be a number of workloads, 1 or more, or unlimited"],
        [{ timeout: "0s" }, `rollout.timeout: ${duration}`],
        [{ timeout: 600 }, `rollout.timeout: ${duration}`],
        [wave({ limit: "1.5h" }), `rollout.waves.0.limit: ${duration}`],
        [{ soak: "ten" }, `rollout.soak: ${duration}, or 0s`],
        [{ jobs: "kill" }, 'rollout.jobs: Invalid option: expected one of "report"|"wait"|"skip"'],
        [
            { disruptionBudgets: false },
            'rollout.disruptionBudgets: Invalid option: expected one of "respect"|"ignore"',
        ],
        [wave({ events: true }), 'rollout.waves.0: Unrecognized key: "events"'],
        ...["", "Shop", "1shop", "shop-", "shop.eu", "s".repeat(41)].map(
            (given): [object, string] => [wave({ name: given }), `rollout.waves.0.name: ${name}`],
        ),
        ...["shop-begin", "baseline"].map((given): [object, string] => [
            wave({ name: given }),
            `rollout.waves.0.name: ${reserved}`,
        ]),
        [wave({ select: undefined }), "rollout.waves.0.select: must name what the wave takes"],
        [wave({ select: [] }), "rollout.waves.0.select: must name what the wave takes"],
        [select({}), `rollout.waves.0.select.0: ${nothing}`],
        [select({ workloadLabels: {} }), `rollout.waves.0.select.0: ${nothing}`],
        ...["deployment/web", "a/b/c", "/web", ""].map((given): [object, string] => [
            select({ workloads: [given] }),
            `rollout.waves.0.select.0.workloads.0: ${workload}`,
        ]),
        [
            wave({ name: "rest" }),
            "rollout.waves.0.select: rest takes what is left and has no select",
        ],
        [
            { waves: [{ name: "rest" }, shop] },
            "rollout.waves.0.name: rest takes what is left, so it must be the last wave",
        ],
        [{ waves: [shop, shop] }, "rollout.waves.1.name: is the name of an earlier wave"],
        [
            gates({ metrics: { prometheus: "prometheus:9090" } }),
            "rollout.gates.metrics.prometheus: must be viz, or the http(s) URL of a Prometheus",
        ],
        [
            gates({ metrics: { rules: [{ name: "errors", query: "up" }] } }),
            "rollout.gates.metrics.rules.0: must set a limit: min, max, maxDrop or maxRise",
        ],
        [
            gates({ metrics: { window: "20m" } }),
            "rollout.gates.metrics.limit: must be longer than the window, which data have to span",
        ],
        [
            wave({ gates: { http: { url: "shop/ok" } } }),
            "rollout.waves.0.gates.http.url: must be an http(s) URL",
        ],
        [
            { pace: 0, ...wave({ name: "Shop", soak: "" }) },
            `rollout.pace: ${pace}`,
            `rollout.waves.0.name: ${name}`,
            `rollout.waves.0.soak: ${duration}, or 0s`,
        ],
    ];
    it.each(cases)("%j", (section, ...faults) => {
        expect(faultsOf(section)).toEqual(faults);
    });

    it("but every name that a reader would take for good is one", () => {
        for (const given of ["a", "shop", "shop-eu-1", "s".repeat(40), "begin", "constructor"]) {
            expect(faultsOf(wave({ name: given }))).toEqual([]);
        }
    });
});

const web: Selectable = {
    namespace: "shop",
    kind: "Deployment",
    name: "web",
    labels: { tier: "front", team: "a" },
};
const namespaceLabels = new Map([["shop", { zone: "eu", stage: "prod" }]]);

describe("a selector takes a workload where all that it names holds", () => {
    const cases: [name: string, select: Selector[], taken: boolean][] = [
        ["its namespace", [{ namespaces: ["pay", "shop"] }], true],
        ["another namespace", [{ namespaces: ["sho"] }], false],
        ["its name", [{ workloads: ["web"] }], true],
        ["its kind and name", [{ workloads: ["db", "Deployment/web"] }], true],
        ["its name with another kind", [{ workloads: ["StatefulSet/web"] }], false],
        ["one of its labels", [{ workloadLabels: { tier: "front" } }], true],
        ["a label with another value", [{ workloadLabels: { tier: "back" } }], false],
        ["one label that it has not", [{ workloadLabels: { tier: "front", x: "" } }], false],
        ["labels of its namespace", [{ namespaceLabels: { zone: "eu", stage: "prod" } }], true],
        ["a label that its namespace has not", [{ namespaceLabels: { tier: "front" } }], false],
        ["namespace and name", [{ namespaces: ["shop"], workloads: ["web"] }], true],
        ["namespace, but another name", [{ namespaces: ["shop"], workloads: ["api"] }], false],
        ["either of two entries", [{ namespaces: ["pay"] }, { workloads: ["web"] }], true],
        ["neither of two entries", [{ namespaces: ["pay"] }, { workloads: ["api"] }], false],
        ["no entry", [], false],
    ];
    it.each(cases)("%s", (_, select, taken) => {
        expect(selects(select, web, namespaceLabels)).toBe(taken);
    });

    it("and a namespace that is not known has no labels", () => {
        expect(selects([{ namespaceLabels: { zone: "eu" } }], web, new Map())).toBe(false);
    });
});

describe("which wave a workload belongs to", () => {
    const waves = [shop, { name: "front", select: [{ workloads: ["web"] }] }];
    const all = [web, { ...web, namespace: "pay" }, { ...web, namespace: "pay", name: "api" }];

    it("two waves that take the same workload are refused, with the workload's name", () => {
        expect(overlapFaults(waves, all, namespaceLabels)).toEqual([
            {
                subject: "rollout.waves",
                value: "shop, front",
                rule: "each of these waves takes shop/Deployment/web; a workload belongs to one wave",
                next: "narrow the select of one of them",
            },
        ]);
    });

    it("what two entries of one wave take is no overlap", () => {
        const select = [...shop.select, { workloads: ["web"] }];
        expect(overlapFaults([{ name: "shop", select }], all, namespaceLabels)).toEqual([]);
    });

    it("a wave's scope has its own entries, and those of all others but rest", () => {
        const [one, two] = waves;
        const given = [...waves, { name: REST, select: [] }];
        expect(scopeOf(given, "shop")).toEqual({
            wave: "shop",
            select: one?.select,
            others: { front: two?.select },
        });
        expect(scopeOf(given, REST)).toEqual({
            wave: "rest",
            select: [],
            others: { shop: one?.select, front: two?.select },
        });
    });

    const label = fc.constantFrom("a", "b");
    const labels = fc.dictionary(fc.constantFrom("x", "y"), label, { maxKeys: 2 });
    const selectable = fc.record({
        namespace: fc.constantFrom("n1", "n2", "n3"),
        kind: fc.constantFrom("Deployment", "StatefulSet", "Pod"),
        name: fc.constantFrom("web", "api", "db"),
        labels,
    });
    const selector: fc.Arbitrary<Selector> = fc
        .record(
            {
                namespaces: fc.uniqueArray(fc.constantFrom("n1", "n2", "n3"), { minLength: 1 }),
                namespaceLabels: labels,
                workloads: fc.uniqueArray(fc.constantFrom("web", "Deployment/api", "Pod/db"), {
                    minLength: 1,
                }),
                workloadLabels: labels,
            },
            { requiredKeys: [] },
        )
        .filter((one) => Object.values(one).some((value) => Object.keys(value).length > 0));
    const someWaves = fc
        .array(fc.array(selector, { minLength: 1, maxLength: 2 }), { maxLength: 3 })
        .map((all) => [
            ...all.map((select, index) => ({ name: `w${index}`, select })),
            { name: REST, select: [] as Selector[] },
        ]);
    const ofNamespaces = fc
        .array(fc.tuple(fc.constantFrom("n1", "n2", "n3"), labels))
        .map((entries) => new Map(entries));

    it("is exactly one where the waves do not overlap, and a new name of a wave changes nothing", () => {
        let byOthers = 0;
        fc.assert(
            fc.property(someWaves, fc.array(selectable), ofNamespaces, (given, all, namespaces) => {
                const renamed = given.map((one) =>
                    one.name === REST ? one : { ...one, name: `new-${one.name}` },
                );
                for (const one of all) {
                    const takenBy = (waves: typeof given) =>
                        waves.map(({ name }) => isInWave(scopeOf(waves, name), one, namespaces));
                    const taken = takenBy(given);
                    const count = taken.filter(Boolean).length;
                    const faults = overlapFaults(given, [one], namespaces);
                    expect([count === 1, faults.length]).toEqual(
                        count > 1 ? [false, 1] : [true, 0],
                    );
                    expect(takenBy(renamed)).toEqual(taken);
                    byOthers += taken.at(-1) === false ? 1 : 0;
                }
            }),
            { numRuns: 300 },
        );
        // Not only by rest.
        expect(byOthers).toBeGreaterThan(0);
    });
});
