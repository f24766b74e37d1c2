import * as age from "age-encryption";
import { spawn } from "node:child_process";
import { appendFile, cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawApi, type ObjectReference } from "../../cluster/rawApi";
import { mint } from "../../plan/certificates";
import { limitedUser } from "./support/limitedUser";
import { NEW, OLD, startJourney, type Journey } from "./support/journey";
import { filesBelow, privateKeyTexts } from "./support/privateKeys";
import { snapshot } from "./support/snapshot";
import { waitFor } from "./support/waiting";

const FOLDER = "organization-mesh-upgrade-demo";
const CRD = "serviceprofiles.linkerd.io";

const PROFILE = {
    apiVersion: "linkerd.io/v1alpha2",
    kind: "ServiceProfile",
    metadata: { name: "web.shop.svc.cluster.local", namespace: "shop" },
    // Texts that a careless YAML writer turns into a number, a boolean and a date.
    spec: {
        routes: ["0755", "yes", "2026-11-21"].map((text) => ({
            name: text,
            condition: { method: "GET", pathRegex: text },
        })),
    },
};
const SERVER = {
    apiVersion: "policy.linkerd.io/v1beta2",
    kind: "Server",
    metadata: { name: "web", namespace: "shop" },
    spec: { port: 8080, podSelector: { matchLabels: { app: "web" } }, proxyProtocol: "HTTP/2" },
};
/** What the mesh, Pulumi and a backup are made of, less networkpolicies. */
const ALL_BUT_ONE = [
    ...["namespaces", "nodes", "pods", "events", "endpoints", "configmaps", "secrets", "services"],
    ...["serviceaccounts", "deployments", "daemonsets", "statefulsets", "replicasets"],
    ...["controllerrevisions", "jobs", "cronjobs", "poddisruptionbudgets", "leases", "ingresses"],
    ...["persistentvolumeclaims", "podmonitors", "issuers", "certificates"],
    ...["horizontalpodautoscalers", "roles", "rolebindings", "clusterroles", "clusterrolebindings"],
    ...["customresourcedefinitions", "apiservices", "httproutes", "grpcroutes", "serviceprofiles"],
    ...["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "servers"],
    ...["authorizationpolicies", "meshtlsauthentications", "networkauthentications"],
    ...["serverauthorizations", "externalworkloads", "rollouts", "canaries"],
];

const reference = (kind: string, name: string, namespace?: string): ObjectReference => ({
    apiVersion:
        {
            ClusterRole: "rbac.authorization.k8s.io/v1",
            CustomResourceDefinition: "apiextensions.k8s.io/v1",
            Deployment: "apps/v1",
        }[kind] ?? "v1",
    kind,
    metadata: { name, ...(namespace ? { namespace } : {}) },
});
const DESTINATION = reference("Deployment", "linkerd-destination", "linkerd");
const IDENTITY = reference("Deployment", "linkerd-identity", "linkerd");
const CONFIG = reference("ConfigMap", "linkerd-config", "linkerd");
const POLICY_ROLE = reference("ClusterRole", "linkerd-policy");

interface Live {
    metadata: {
        uid: string;
        annotations?: Record<string, string>;
        managedFields: { manager: string; operation: string; fieldsV1: object }[];
    };
    spec: { template: { spec: { containers: { name: string; image: string }[] } } };
}

describe("a user whose upgrade went wrong gets the mesh of before back, keys and own objects included", () => {
    let journey: Journey;
    let api: RawApi;
    let identity: string;
    let recipient: string;
    let identityFile: string;
    let backups: string;
    /** What must come back. */
    let before: { issuer: unknown; proxies: Record<string, string> };

    beforeAll(async () => {
        identity = await age.generateIdentity();
        recipient = await age.identityToRecipient(identity);
        journey = await startJourney("backup", {
            config: { backup: { directory: "./backups", recipient } },
        });
        api = new RawApi(journey.connection);
        backups = join(journey.stack.project, "backups", FOLDER);
        identityFile = join(journey.cluster.directory, "identity.txt");
        await writeFile(identityFile, `# a comment\n${identity}\n`, { mode: 0o600 });
    });
    afterAll(async () => {
        await journey?.dispose();
    });

    const list = async () => (await readdir(backups).catch(() => [])).sort();
    const issuer = async () =>
        (
            await journey.connection.core.readNamespacedSecret({
                namespace: "linkerd",
                name: "linkerd-identity-issuer",
            })
        ).data;
    const read = async (object: ObjectReference) => (await api.read(object)) as unknown as Live;

    /** `npm run restore` from the stack's project. */
    async function runRestore(...args: string[]): Promise<{ code: unknown; output: string }> {
        const { kubeconfig, context } = journey.cluster;
        const where = ["--kubeconfig", kubeconfig, "--context", context];
        const child = spawn("node", ["--import", "tsx", "rollout/restore.ts", ...where, ...args], {
            cwd: journey.stack.project,
            stdio: ["ignore", "pipe", "pipe"],
        });
        let output = "";
        child.stdout.on("data", (data: Buffer) => (output += data.toString()));
        child.stderr.on("data", (data: Buffer) => (output += data.toString()));
        const code = await new Promise((resolve) => child.on("close", resolve));
        return { code, output };
    }

    /** A snapshot once the controllers have done with what was changed. */
    async function settled(): Promise<string[]> {
        let last: string[] = [];
        await waitFor("the cluster to settle", async () => {
            const before = last;
            await sleep(2_000);
            last = await snapshot(journey.connection);
            return isDeepStrictEqual(before, last);
        });
        return last;
    }

    /** Private keys, in every shape, must be in no file of the backups. */
    async function expectNoKeys(): Promise<void> {
        const keys = await privateKeyTexts(journey.connection);
        expect(keys.length).toBeGreaterThanOrEqual(2 * 8);
        const files = await filesBelow(join(journey.stack.project, "backups"));
        const leaks = files.filter(
            ({ text }) =>
                text.includes("PRIVATE KEY") ||
                text.includes("AGE-SECRET-KEY") ||
                keys.some((key) => text.includes(key)),
        );
        expect(leaks.map(({ path }) => path)).toEqual([]);
    }

    it("step 1: the first installation has nothing to back up, says so, and nothing changes afterwards", async () => {
        const { output } = await journey.up();
        expect(output).toContain("backup: nothing to back up: this is the first installation");
        await journey.expectNoChanges();
        expect(await list()).toEqual([]);
        await journey.createSample();
        await api.apply(PROFILE, "user");
        await api.apply(SERVER, "user");
        before = { issuer: await issuer(), proxies: await journey.proxies() };
    });

    it("step 2: a directory that cannot be written and a mistyped recipient are refused; nothing changes", async () => {
        await journey.editVersion(NEW);
        const file = join(journey.cluster.directory, "a-file");
        await writeFile(file, "");
        const mistyped = `${recipient.slice(0, -1)}${recipient.endsWith("q") ? "p" : "q"}`;
        await journey.stack.edit("backup", { directory: join(file, "b"), recipient: mistyped });
        const unchanged = await snapshot(journey.connection);
        const refused = await journey.failingUp();
        expect(refused.output).toMatch(/backup\.directory = ".*": cannot hold a backup: .*a-file/);
        expect(refused.output).toContain(`backup.recipient = "${mistyped}": is no age recipient`);
        await journey.stack.edit("backup", { directory: "backups", recipient: identity });
        const pasted = await journey.failingUp();
        expect(pasted.output).toContain("backup.recipient: is a secret key");
        expect(pasted.output).not.toContain(identity);
        expect(await snapshot(journey.connection)).toEqual(unchanged);
    });

    it("step 3: preview says where the backup will be, and writes none", async () => {
        await journey.stack.edit("backup", { directory: "./backups", recipient });
        const { output } = await journey.preview();
        expect(output).toContain(`go to ./backups/${FOLDER}/${OLD}-TIME before anything changes`);
        expect(output).toContain(`Secrets are encrypted for ${recipient}`);
        expect(output).toMatch(/Command backup replace/);
        expect(await list()).toEqual([]);
    });

    it("step 4: a backup that fails keeps everything from changing", async () => {
        const { cluster, stack } = journey;
        const unchanged = await snapshot(journey.connection);
        await stack.edit("kubeconfig", await limitedUser(cluster, "no-policies", ALL_BUT_ONE));
        const { output } = await journey.failingUp();
        await stack.edit("kubeconfig", cluster.kubeconfig);
        expect(output).toMatch(
            /no backup was made, so nothing was changed: networkpolicies .* cannot be listed: .*forbidden/,
        );
        const ofUser = (line: string) => line.includes("no-policies");
        expect((await snapshot(journey.connection)).filter((line) => !ofUser(line))).toEqual(
            unchanged,
        );
        expect(await list()).toEqual([]);
    });

    it("step 5: an upgrade that fails half-way has a whole backup, made once, without a key in it", async () => {
        // Somebody else holds on to an image: the new one meets a conflict.
        const { spec } = await read(DESTINATION);
        const [container] = spec.template.spec.containers;
        const held = { containers: [{ name: container?.name, image: container?.image }] };
        await api.apply({ ...DESTINATION, spec: { template: { spec: held } } } as never, "hand");
        const { output } = await journey.failingUp();
        expect(output).toMatch(/conflict with "hand"/);
        const [name = "", ...more] = await list();
        expect(more).toEqual([]);
        expect(name).toMatch(new RegExp(`^${OLD}-\\d{8}T\\d{6}Z$`));
        expect(output).toContain(`objects of ${OLD} are in backups/${FOLDER}/${name}`);
        await journey.failingUp();
        expect(await list()).toEqual([name]);

        const backup = join(backups, name);
        const files = (await readdir(backup)).sort();
        expect(files).toEqual(["manifest.json", "objects.yaml", "secrets.yaml.age"]);
        expect((await stat(backup)).mode & 0o777).toBe(0o700);
        for (const file of files) {
            expect((await stat(join(backup, file))).mode & 0o777, file).toBe(0o600);
        }
        expect(JSON.parse(await readFile(join(backup, "manifest.json"), "utf8"))).toMatchObject({
            from: OLD,
            to: NEW,
            clusterUid: journey.cluster.uid,
            objects: {
                APIService: 1,
                ClusterRole: 12,
                CustomResourceDefinition: 10,
                MutatingWebhookConfiguration: 2,
                Namespace: 2,
                // The user's, and two of viz.
                ServiceProfile: 3,
            },
        });
        await expectNoKeys();
    });

    it("step 6: restore shows what it would do, and refuses another cluster, a wrong key and a damaged backup", async () => {
        // The CRD takes the user's ServiceProfiles along.
        const { objects } = journey.connection;
        await objects.delete(reference("CustomResourceDefinition", CRD));
        await objects.delete(CONFIG);
        await objects.delete(POLICY_ROLE);
        const other = await mint({ name: "wrong", authority: true, years: 1, now: new Date() });
        const base64 = (text: string) => Buffer.from(text).toString("base64");
        await api.mergePatch(reference("Secret", "linkerd-identity-issuer", "linkerd"), {
            data: { "tls.crt": base64(other.certificate), "tls.key": base64(other.key) },
        });
        await api.apply(
            {
                ...IDENTITY,
                spec: {
                    template: { spec: { containers: [{ name: "identity", image: "broken:1" }] } },
                },
            } as never,
            "hand",
        );
        const [name = ""] = await list();
        const backup = join(backups, name);
        const damaged = await settled();

        const shown = await runRestore(backup);
        expect(shown.code, shown.output).toBe(0);
        expect(shown.output).toContain(`create     CustomResourceDefinition ${CRD}`);
        expect(shown.output).toContain("create     ConfigMap linkerd/linkerd-config");
        expect(shown.output).toContain("create     ClusterRole linkerd-policy");
        expect(shown.output).toContain(`create     ServiceProfile shop/${PROFILE.metadata.name}`);
        expect(shown.output).toMatch(/change {5}Deployment linkerd\/linkerd-identity \(.*spec.*\)/);
        expect(shown.output).toMatch(
            /left alone CustomResourceDefinition servers\.policy\.linkerd\.io \(CRDs move forward only: objects are stored in v1beta3/,
        );
        expect(shown.output).toContain("Secrets are left as they are");
        expect(shown.output).toContain("nothing was changed. Next: the same with --yes");

        const elsewhere = await runRestore("--cluster-uid", "0000", backup);
        expect(elsewhere.output).toContain(
            `leads to cluster ${journey.cluster.uid}, --cluster-uid is 0000`,
        );
        const wrong = join(journey.cluster.directory, "wrong.txt");
        await writeFile(wrong, await age.generateIdentity());
        const undecryptable = await runRestore("--identity", wrong, "--yes", backup);
        expect(undecryptable.output).toContain("does not decrypt the Secrets of this backup");
        const copy = join(journey.cluster.directory, "copy");
        await cp(backup, copy, { recursive: true });
        await appendFile(join(copy, "objects.yaml"), "\n");
        const changed = await runRestore("--yes", copy);
        expect(changed.output).toContain("is damaged: objects.yaml has another SHA-256");
        for (const { code } of [elsewhere, undecryptable, changed]) {
            expect(code).toBe(1);
        }
        expect(await snapshot(journey.connection)).toEqual(damaged);
    });

    it("step 7: restore brings everything back, and a second one finds nothing to do", async () => {
        const [name = ""] = await list();
        const args = ["--identity", identityFile, "--yes", join(backups, name)];
        const restored = await runRestore(...args);
        expect(restored.code, restored.output).toBe(0);
        expect(restored.output).toContain(
            `Next: set linkerdVersion to ${OLD}, then: pulumi up --refresh`,
        );
        expect(restored.output).not.toContain("PRIVATE KEY");
        expect(restored.output).toMatch(/left alone Secret linkerd-viz\/sh\.helm\.release/);
        expect(await issuer()).toEqual(before.issuer);
        for (const own of [PROFILE, SERVER]) {
            expect((await api.read(own))["spec"]).toEqual(own.spec);
        }
        const { spec, metadata } = await read(IDENTITY);
        expect(
            spec.template.spec.containers.find((one) => one.name === "identity")?.image,
        ).not.toBe("broken:1");
        // The restore owns nothing but its mark: whoever declares the object meets no conflict.
        expect(metadata.annotations?.["mesh-upgrade/restored-from"]).toBe(name);
        expect(
            metadata.managedFields.find(({ manager }) => manager === "mesh-upgrade-restore")
                ?.fieldsV1,
        ).toEqual({ "f:metadata": { "f:annotations": { "f:mesh-upgrade/restored-from": {} } } });

        const again = await runRestore(...args);
        expect(again.output).toContain("0 to create, 0 to change");
    });

    it("step 8: the line reverted with --refresh ends clean: same keys, same proxies, the user's objects", async () => {
        await journey.editVersion(OLD);
        const { code, output } = await journey.stack.run([
            "up",
            "--yes",
            "--skip-preview",
            "--refresh",
        ]);
        expect(code, output).toBe(0);
        await journey.expectNoChanges();
        expect(await issuer()).toEqual(before.issuer);
        expect(await journey.proxies()).toEqual(before.proxies);
        for (const own of [PROFILE, SERVER]) {
            expect((await api.read(own))["spec"]).toEqual(own.spec);
        }
    });

    it("step 9: the next upgrade meets no conflict; without a recipient its backup holds no Secret at all", async () => {
        await api.apply(DESTINATION, "hand");
        await api.apply(IDENTITY, "hand");
        await journey.stack.edit("backup", { directory: "./backups" });
        await journey.editVersion(NEW);
        const known = await list();
        const { output } = await journey.up();
        expect(output).toMatch(/\d+ Secrets were left out/);
        await journey.expectNoChanges();
        expect(Object.values(await journey.proxies())).toContain(NEW);
        const [name = "", ...more] = (await list()).filter((one) => !known.includes(one));
        expect(more).toEqual([]);
        expect((await readdir(join(backups, name))).sort()).toEqual([
            "manifest.json",
            "objects.yaml",
        ]);
        const objects = await readFile(join(backups, name, "objects.yaml"), "utf8");
        expect(objects).toContain("name: linkerd-config");
        expect(objects).not.toMatch(/^kind: Secret$/m);
        await expectNoKeys();
    });
});
