import { CoreV1Api } from "@kubernetes/client-node";
import { afterEach, describe, expect, it } from "vitest";
import { PatientKubeConfig } from "../../cluster/patientConfig";
import { mint } from "../../plan/certificates";
import {
    failure,
    json,
    startScript,
    type ScriptedServer,
    type Step,
} from "./support/scriptedServer";

const namespace = json({ metadata: { name: "shop" } });
const cut: Step = (response) => response.destroy();

let server: ScriptedServer | undefined;
afterEach(() => server?.close());

async function core(...steps: Step[]): Promise<CoreV1Api> {
    server = await startScript(steps);
    const config = new PatientKubeConfig();
    config.loadFromOptions({
        clusters: [{ name: "c", server: server.url, skipTLSVerify: true }],
        users: [{ name: "u" }],
        contexts: [{ name: "x", cluster: "c", user: "u" }],
        currentContext: "x",
    });
    return config.makeApiClient(CoreV1Api);
}

describe("what passes is tried again", () => {
    it.each<[string, Step[]]>([
        ["too many requests", [failure(429, "later", { "Retry-After": "0" })]],
        ["a server that is busy with itself", [failure(503, "starting"), failure(500)]],
        ["a connection that breaks", [cut, cut]],
    ])("%s", async (_, troubles) => {
        const api = await core(...troubles, namespace);
        const found = await api.readNamespace({ name: "shop" });
        expect(found.metadata?.name).toBe("shop");
        expect(server?.requests).toHaveLength(troubles.length + 1);
    });

    it("also a write that was turned down unseen", async () => {
        const api = await core(failure(429), namespace);
        await api.createNamespace({ body: {} });
        expect(server?.requests).toEqual(["POST /api/v1/namespaces", "POST /api/v1/namespaces"]);
    });
});

describe("and nothing else is", () => {
    it.each<[string, Step]>([
        ["an answer that says no", failure(403, "forbidden")],
        ["what is not there", failure(404, "not found")],
    ])("%s", async (_, answer) => {
        const api = await core(answer, namespace);
        await expect(api.readNamespace({ name: "shop" })).rejects.toThrow();
        expect(server?.requests).toHaveLength(1);
    });

    it.each<[string, Step]>([
        ["a write that may have been carried out", cut],
        ["a write that failed inside", failure(500, "webhook")],
    ])("%s", async (_, answer) => {
        const api = await core(answer, namespace);
        await expect(api.createNamespace({ body: {} })).rejects.toThrow();
        expect(server?.requests).toHaveLength(1);
    });
});

describe("connections", () => {
    const secure = async (...steps: Step[]) => {
        const plain = { authority: false, years: 1, now: new Date() };
        const ca = await mint({ ...plain, name: "ca", authority: true });
        const tls = await mint({ ...plain, name: "api.test", issuer: ca });
        server = await startScript(steps, { tls });
        const config = new PatientKubeConfig();
        const caData = Buffer.from(ca.certificate).toString("base64");
        config.loadFromOptions({
            clusters: [{ name: "c", server: server.url, caData, tlsServerName: "api.test" }],
            users: [{ name: "u" }],
            contexts: [{ name: "x", cluster: "c", user: "u" }],
            currentContext: "x",
        });
        return { config, api: config.makeApiClient(CoreV1Api) };
    };

    it("serve one read after the other", async () => {
        const { api } = await secure(namespace, namespace, namespace);
        for (let nth = 0; nth < 3; nth++) {
            await api.readNamespace({ name: "shop" });
        }
        expect(server?.requests).toHaveLength(3);
        expect(server?.connections()).toBe(1);
    });

    it("are new for a write, which is not repeated where an idle one has just been closed", async () => {
        const { api } = await secure(namespace, namespace, namespace);
        await api.readNamespace({ name: "shop" });
        await api.createNamespace({ body: {} });
        expect(server?.connections()).toBe(2);
    });

    it("are new for a read where the idle one has been closed", async () => {
        const closing: Step = (response, request) => {
            namespace(response, request);
            response.on("finish", () => setImmediate(() => request.socket.destroy()));
        };
        const { api } = await secure(closing, namespace, namespace);
        await api.readNamespace({ name: "shop" });
        await api.readNamespace({ name: "shop" });
        expect(server?.connections()).toBe(2);
    });

    it("are new for a read with other credentials", async () => {
        const { config, api } = await secure(namespace, namespace);
        await api.readNamespace({ name: "shop" });
        const now = new Date();
        const user = await mint({ name: "user", authority: false, years: 1, now });
        const base64 = (text: string) => Buffer.from(text).toString("base64");
        config.users = [
            { name: "u", certData: base64(user.certificate), keyData: base64(user.key) },
        ];
        await api.readNamespace({ name: "shop" });
        expect(server?.connections()).toBe(2);
    });
});
