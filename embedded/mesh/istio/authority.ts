import { ApiException, type CoreV1Api, type V1Secret } from "@kubernetes/client-node";
import { type KeyPair, mint } from "../../../plan/certificates";

const name = "istio-ca-secret";
const certificateKey = "ca-cert.pem";
const privateKey = "ca-key.pem";
const years = 10;

/**
 * The CA that all istiods of a namespace share. The first one to start makes it and keeps it in
 * Secret istio-ca-secret, as istiod does.
 */
export async function ensureAuthority(core: CoreV1Api, namespace: string): Promise<KeyPair> {
    const secret =
        (await unless(404, core.readNamespacedSecret({ namespace, name }))) ??
        (await unless(409, createAuthority(core, namespace))) ??
        (await core.readNamespacedSecret({ namespace, name }));
    return { certificate: decode(secret, certificateKey), key: decode(secret, privateKey) };
}

/** Signs the serving certificate of an istiod for one of its Services. */
export function mintLeaf(authority: KeyPair, host: string): Promise<KeyPair> {
    return mint({ name: host, issuer: authority, authority: false, years, now: new Date() });
}

async function createAuthority(core: CoreV1Api, namespace: string): Promise<V1Secret> {
    const authority = await mint({
        name: "cluster.local",
        authority: true,
        years,
        now: new Date(),
    });
    return core.createNamespacedSecret({
        namespace,
        body: {
            metadata: { name },
            type: "istio.io/ca-root",
            stringData: {
                [certificateKey]: authority.certificate,
                [privateKey]: authority.key,
            },
        },
    });
}

async function unless<T>(status: number, answer: Promise<T>): Promise<T | undefined> {
    try {
        return await answer;
    } catch (error) {
        if (error instanceof ApiException && error.code === status) return undefined;
        throw error;
    }
}

function decode(secret: V1Secret, key: string): string {
    const value = secret.data?.[key];
    if (value === undefined) throw new Error(`Secret ${name} has no ${key}`);
    return Buffer.from(value, "base64").toString();
}
