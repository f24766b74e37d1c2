import { describe, expect, it } from "vitest";
import { reviewAccess } from "../../cluster/access";
import { ApiError, type KubeApi } from "../../cluster/api";
import {
    istioPermissions,
    linkerdPermissions,
    permissionFaults,
    permissionTexts,
    type Asked,
} from "../../plan/permissions";
import { dataPlaneOf, podOf, workloadOf } from "./support/meshedPods";
import { radiusOf } from "./support/reviews";

const textOf = ({ verb, resource, namespace, needed }: Asked) =>
    `${verb} ${resource} ${namespace ?? "*"} ${needed}`;

const web = dataPlaneOf({
    pods: [podOf(), podOf({ name: "db-0", owner: { kind: "StatefulSet", name: "db" } })],
    workloads: [workloadOf(), workloadOf({ kind: "StatefulSet", name: "db", namespace: "shop" })],
});
const ABSENT = {
    ...{ namespaces: [], controlPlane: false, viz: false },
    ...{ cni: false, extensions: [], extensionCrds: [] },
};
const PRESENT = { namespaces: ["linkerd", "linkerd-viz"], controlPlane: true, viz: true };
/** A mesh that is there, with nothing beside it. */
const BARE = { ...ABSENT, ...PRESENT };
const SMI = { name: "smi", namespace: "linkerd-smi" } as const;
const ADDED = { cni: true, extensions: [SMI] };
const NAMESPACES = [...PRESENT.namespaces, "linkerd-cni", "linkerd-smi"];
const linkerd = (
    how: Partial<Parameters<typeof linkerdPermissions>[0]> = {},
    radius = radiusOf(web),
) =>
    linkerdPermissions(
        {
            ...{ change: true, viz: false, certManager: false, present: ABSENT },
            ...{ highAvailability: false, cni: false },
            ...how,
        },
        radius,
    ).map(textOf);

describe("an update of Linkerd asks for what it does", () => {
    it("to make and change what it declares; to delete, only as something that may be needed", () => {
        const asked = linkerd();
        for (const verb of ["get", "create", "patch"]) {
            expect(asked).toContain(`${verb} secrets linkerd always`);
            expect(asked).toContain(
                `${verb} customresourcedefinitions.apiextensions.k8s.io * always`,
            );
        }
        expect(asked).toContain("delete secrets linkerd maybe");
        expect(asked.filter((one) => one.includes("linkerd-viz"))).toEqual([]);
        expect(linkerd({ viz: true })).toContain("create deployments.apps linkerd-viz always");
        const available = linkerd({ highAvailability: true, viz: true });
        expect(available).toContain("patch poddisruptionbudgets.policy linkerd-viz always");
        expect(linkerd({ highAvailability: true }).join()).not.toContain("linkerd-viz");
        expect(linkerd({ cni: true })).toContain("patch daemonsets.apps linkerd-cni always");
        expect(linkerd({ certManager: true })).toContain(
            "create certificates.cert-manager.io linkerd always",
        );
    });

    // The API server asks for create only where an apply finds nothing.
    it.each<[what: string, present: object, viz: boolean, made: string[]]>([
        [
            "a new mesh",
            {},
            true,
            [
                "apiservices.apiregistration.k8s.io *",
                "clusterrolebindings.rbac.authorization.k8s.io *",
                "clusterroles.rbac.authorization.k8s.io *",
                "customresourcedefinitions.apiextensions.k8s.io *",
                "mutatingwebhookconfigurations.admissionregistration.k8s.io *",
                "namespaces *",
                "rolebindings.rbac.authorization.k8s.io kube-system",
                "validatingwebhookconfigurations.admissionregistration.k8s.io *",
            ],
        ],
        ["a mesh that is there", PRESENT, true, []],
        [
            "its namespace alone, made by somebody else",
            { namespaces: ["linkerd"] },
            false,
            [
                "clusterrolebindings.rbac.authorization.k8s.io *",
                "clusterroles.rbac.authorization.k8s.io *",
                "customresourcedefinitions.apiextensions.k8s.io *",
                "mutatingwebhookconfigurations.admissionregistration.k8s.io *",
                "validatingwebhookconfigurations.admissionregistration.k8s.io *",
            ],
        ],
        [
            "viz beside a mesh that is there",
            { namespaces: ["linkerd"], controlPlane: true },
            true,
            [
                "apiservices.apiregistration.k8s.io *",
                "clusterrolebindings.rbac.authorization.k8s.io *",
                "clusterroles.rbac.authorization.k8s.io *",
                "mutatingwebhookconfigurations.admissionregistration.k8s.io *",
                "namespaces *",
                "rolebindings.rbac.authorization.k8s.io kube-system",
            ],
        ],
    ])("to make, outside its namespaces, what is missing: %s", (_, present, viz, made) => {
        const asked = linkerd({ viz, present: { ...ABSENT, ...present } });
        const outside = asked.filter((one) => / (\*|kube-system) /.test(one));
        const creates = outside.filter((one) => one.startsWith("create "));
        expect(creates.filter((one) => one.endsWith(" always"))).toEqual(
            made.map((one) => `create ${one} always`),
        );
        expect(creates).toHaveLength(viz ? 8 : 6);
        expect(asked).toContain("patch namespaces * always");
        expect(asked).toContain("create secrets linkerd always");
    });

    it.each<[what: string, present: object, made: string[]]>([
        [
            "CNI plugin and linkerd-smi beside a mesh that is there",
            PRESENT,
            [
                "clusterrolebindings.rbac.authorization.k8s.io *",
                "clusterroles.rbac.authorization.k8s.io *",
                "configmaps linkerd-cni",
                "customresourcedefinitions.apiextensions.k8s.io *",
                "daemonsets.apps linkerd-cni",
                "deployments.apps linkerd-smi",
                "namespaces *",
                "serviceaccounts linkerd-cni",
                "serviceaccounts linkerd-smi",
            ],
        ],
        [
            "linkerd-smi, whose CRD is there already",
            { ...PRESENT, cni: true, namespaces: NAMESPACES, extensionCrds: ["smi"] },
            [
                "clusterrolebindings.rbac.authorization.k8s.io *",
                "clusterroles.rbac.authorization.k8s.io *",
                "deployments.apps linkerd-smi",
                "serviceaccounts linkerd-smi",
            ],
        ],
        [
            "nothing",
            {
                ...{ ...PRESENT, namespaces: NAMESPACES, cni: true },
                ...{ extensions: [SMI.namespace], extensionCrds: ["smi"] },
            },
            [],
        ],
    ])("to make what is missing of what is added: %s", (_, present, made) => {
        const how = { ...ADDED, present: { ...ABSENT, ...present }, change: false };
        const asked = linkerd(how, radiusOf(web, {}, { waiting: "unchanged" }));
        const creates = asked.filter((one) =>
            /^create .* (\*|linkerd-(cni|smi)) always$/.test(one),
        );
        expect(creates).toEqual(made.map((one) => `create ${one} always`));
    });

    it("to make what an extension adds, cluster-wide only where it is not there yet", () => {
        const extensions = [
            { name: "jaeger", namespace: "linkerd-jaeger" },
            { name: "multicluster", namespace: "linkerd-multicluster" },
        ] as const;
        const made = (present: readonly string[], extensionCrds: readonly "multicluster"[] = []) =>
            linkerd({
                extensions,
                present: {
                    ...BARE,
                    extensions: present,
                    extensionCrds,
                    namespaces: [...BARE.namespaces, ...present],
                },
            })
                .filter((one) => /^create .* \* always$/.test(one))
                .map((one) => one.split(" ")[1]?.split(".")[0]);
        const all = ["clusterrolebindings", "clusterroles", "customresourcedefinitions"];
        const jaeger = "mutatingwebhookconfigurations";
        expect(made([])).toEqual([...all, jaeger, "namespaces"]);
        expect(made(["linkerd-jaeger"])).toEqual([...all, "namespaces"]);
        // Its CRD stays when it goes.
        expect(made(["linkerd-multicluster"], ["multicluster"])).toEqual([
            ...all.slice(0, 2),
            ...[jaeger, "namespaces"],
        ]);
        expect(made(["linkerd-jaeger"], ["multicluster"])).toEqual([
            ...all.slice(0, 2),
            "namespaces",
        ]);
        expect(made(["linkerd-jaeger", "linkerd-multicluster"], ["multicluster"])).toEqual([]);

        const asked = linkerd({ extensions, present: BARE, certManager: true });
        for (const one of [
            "create secrets linkerd-jaeger always",
            "create issuers.cert-manager.io linkerd-jaeger always",
            "patch servers.policy.linkerd.io linkerd-jaeger always",
            "create secrets linkerd-multicluster always",
            "create meshtlsauthentications.policy.linkerd.io linkerd-multicluster always",
            "delete services linkerd-multicluster maybe",
        ]) {
            expect(asked).toContain(one);
        }
        expect(asked.join()).not.toContain("cert-manager.io linkerd-multicluster");
    });

    it.each([
        [{}, []],
        [{ controllers: [] }, []],
        [{ controllers: [{ link: { ref: { name: "east" } } }] }, ["rolebindings", "roles"]],
        [{ enablePodAntiAffinity: true }, ["poddisruptionbudgets"]],
        [
            { controllers: [{ enablePodAntiAffinity: true }] },
            ["poddisruptionbudgets", "rolebindings", "roles"],
        ],
    ])("to make service mirrors that the chart brings: %j", (values, kinds) => {
        const one = { name: "multicluster", namespace: "linkerd-multicluster", values } as const;
        const made = linkerd({ extensions: [one], present: BARE })
            .filter((each) => /^create (role|poddis).* linkerd-multicluster /.test(each))
            .map((each) => each.split(" ")[1]?.split(".")[0]);
        expect(made).toEqual(kinds);
    });

    it("to restart just the kinds that restart, where they are", () => {
        const patched = linkerd().filter((one) => / shop /.test(one));
        expect(patched).toEqual([
            "patch deployments.apps shop always",
            "delete pods shop maybe",
            "patch statefulsets.apps shop always",
        ]);
        const evicted = dataPlaneOf({
            pods: [podOf()],
            workloads: [workloadOf({ strategy: "OnDelete" })],
        });
        expect(linkerd({}, radiusOf(evicted)).filter((one) => / shop /.test(one))).toEqual([
            "create pods/eviction shop always",
        ]);
    });

    it("nothing for sure where the version stays, and for no restart where no wave runs", () => {
        const asked = linkerd({ change: false }, radiusOf(web, {}, { waiting: "unchanged" }));
        expect(asked.filter((one) => one.endsWith("always"))).toEqual([]);
        expect(asked).toContain("patch secrets linkerd maybe");
    });
});

const NOTHING_NEW = {
    ...{ namespace: false, crds: false, revision: false, tag: false, validator: false },
};
const istio = (makes: Partial<typeof NOTHING_NEW> = {}) =>
    istioPermissions(
        {
            change: true,
            namespace: "istio-system",
            removes: true,
            gatewayNamespaces: ["istio-ingress", "istio-ingress"],
            makes: { ...NOTHING_NEW, ...makes },
        },
        radiusOf(dataPlaneOf({ pods: [], workloads: [] })),
    ).map(textOf);

it.each<[Partial<typeof NOTHING_NEW>, string[]]>([
    [{}, []],
    [{ namespace: true, crds: true }, ["customresourcedefinitions", "namespaces"]],
    [
        { revision: true },
        [
            "clusterrolebindings",
            "clusterroles",
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ],
    ],
    [{ tag: true }, ["mutatingwebhookconfigurations"]],
    [{ validator: true }, ["validatingwebhookconfigurations"]],
])("an update of Istio asks to make what is missing without a namespace: %j", (makes, made) => {
    const creates = istio(makes).filter((one) => /^create .* \* always$/.test(one));
    expect(creates.map((one) => /^create (\w+)/.exec(one)?.[1])).toEqual(made);
});

it("an update of Istio asks for its namespaces, and to delete what goes", () => {
    const texts = istio();
    expect(texts).toContain("delete deployments.apps istio-system always");
    expect(texts.filter((one) => one === "patch services istio-ingress always")).toHaveLength(1);
    expect(texts).toContain("patch namespaces * always");
    expect(texts.filter((one) => one.includes("leases"))).toEqual([]);
});

describe("the access review", () => {
    const SECRETS: Asked[] = [
        { verb: "patch", resource: "secrets", namespace: "linkerd", needed: "always" },
        { verb: "patch", resource: "secrets", namespace: "linkerd-viz", needed: "always" },
        { verb: "delete", resource: "secrets", namespace: "linkerd", needed: "maybe" },
        { verb: "create", resource: "pods/eviction", namespace: "shop", needed: "always" },
        { verb: "patch", resource: "deployments.apps", namespace: null, needed: "always" },
    ];
    /** An API server that allows what `may` says; `asked` gets each question. */
    const server = (
        may: (one: string) => boolean,
        asked: string[] = [],
    ): Pick<KubeApi, "send"> => ({
        send: (_, path, options) => {
            expect(path).toBe("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
            const { spec } = options?.body as {
                spec: { resourceAttributes: Record<string, string> };
            };
            const { verb, group, resource, subresource, namespace } = spec.resourceAttributes;
            const one = `${verb} ${group}/${resource}/${subresource ?? ""} ${namespace ?? "*"}`;
            asked.push(one);
            return Promise.resolve({ status: { allowed: may(one) } });
        },
    });

    it("takes one request where the user may do everything", async () => {
        const asked: string[] = [];
        expect(
            await reviewAccess(
                server(() => true, asked),
                SECRETS,
            ),
        ).toEqual({
            asked: 5,
            missing: [],
            maybe: [],
        });
        expect(asked).toEqual(["* */*/ *"]);
    });

    it("asks for a namespace only where the whole cluster is refused", async () => {
        const asked: string[] = [];
        const may = (one: string) =>
            ["patch /secrets/ linkerd", "patch apps/deployments/ *"].includes(one);
        expect(await reviewAccess(server(may, asked), SECRETS)).toEqual({
            asked: 5,
            missing: [
                { verb: "patch", resource: "secrets", namespace: "linkerd-viz" },
                { verb: "create", resource: "pods/eviction", namespace: "shop" },
            ],
            maybe: [{ verb: "delete", resource: "secrets", namespace: "linkerd" }],
        });
        expect(asked.sort()).toEqual(
            [
                "* */*/ *",
                "patch /secrets/ *",
                "patch /secrets/ linkerd",
                "patch /secrets/ linkerd-viz",
                "delete /secrets/ *",
                "delete /secrets/ linkerd",
                "create /pods/eviction *",
                "create /pods/eviction shop",
                "patch apps/deployments/ *",
            ].sort(),
        );
    });

    it("that is itself refused says so, and finds nothing missing", async () => {
        const send = () => Promise.reject(new ApiError(403, "no reviews"));
        expect(await reviewAccess({ send }, SECRETS)).toEqual({
            asked: 5,
            missing: [],
            maybe: [],
            unknown: "the API server answers 403 (no reviews)",
        });
    });
});

describe("missing permissions", () => {
    const missing = [
        { verb: "create", resource: "secrets", namespace: "linkerd" },
        { verb: "patch", resource: "secrets", namespace: "linkerd" },
        { verb: "create", resource: "secrets", namespace: "linkerd-viz" },
        { verb: "patch", resource: "secrets", namespace: "linkerd-viz" },
        { verb: "patch", resource: "namespaces", namespace: null },
    ];
    it("are told by kind and place", () => {
        expect(permissionTexts(missing)).toEqual([
            "create, patch secrets in linkerd, linkerd-viz",
            "patch namespaces in the whole cluster",
        ]);
    });

    it("refuse with one fault that names each and the next step", () => {
        expect(permissionFaults({ asked: 9, missing: [], maybe: missing })).toEqual([]);
        expect(permissionFaults({ asked: 9, missing, maybe: [] })).toEqual([
            {
                subject: "permissions",
                value: "5",
                rule: "the user of this kubeconfig may not: create, patch secrets in linkerd, linkerd-viz; patch namespaces in the whole cluster",
                next: "ask for them, and see: kubectl auth can-i create secrets -n linkerd; where the access review is wrong (rights on single objects by name): report.permissions: tell",
            },
        ]);
    });
});
