import type { X509Certificate } from "node:crypto";
import { leadsTo, readBundle, without } from "./certificates";
import type { Fault } from "./faults";
import type { LiveIssuer } from "./identity";

/** A running proxy, as far as its trust goes. */
export interface MeshedProxy {
    readonly namespace: string;
    readonly name: string;
    /** In ms since the epoch, by the API server's clock. */
    readonly createdAt: number;
    /** PEM bundle of its trust anchors; undefined where the pod does not tell. */
    readonly anchors: string | undefined;
}

/** Pods that a fault names; more are counted. */
const MOST_PODS = 5;

/**
 * A fault for the proxies that would not accept the issuer's certificates: they would lose mTLS with every pod that gets
 * one. `next` is the way out.
 */
export function strangerFaults(
    issuer: string,
    proxies: readonly MeshedProxy[],
    next: string,
): Fault[] {
    const [certificate, ...intermediates] = readBundle(issuer);
    const bundles = new Map<string, boolean>();
    const accepts = (anchors: string) => {
        const known = bundles.get(anchors);
        if (known !== undefined || !certificate) {
            return known ?? false;
        }
        const accepted = leadsTo(certificate, intermediates, readable(anchors));
        bundles.set(anchors, accepted);
        return accepted;
    };
    const strangers = proxies.filter(({ anchors }) => anchors !== undefined && !accepts(anchors));
    return strangers.length === 0
        ? []
        : [
              {
                  subject: "issuer",
                  value: certificate?.subject,
                  rule: `does not verify against the trust anchors of ${strangers.length} running proxies, which would lose mTLS: ${namesOf(strangers)}`,
                  next,
              },
          ];
}

/** A proxy whose bundle cannot be read trusts nobody. */
function readable(bundle: string): X509Certificate[] {
    try {
        return readBundle(bundle);
    } catch {
        return [];
    }
}

/**
 * A fault where anchors are dropped that a running pod's certificate may still need. A pod that was made after the issuer
 * was served has a certificate of that issuer; `issuer` is the live one, which has to be the declared one as well.
 */
export function dropFaults(
    issuer: LiveIssuer,
    declared: { readonly certificate: string; readonly trustAnchors: string },
    proxies: readonly MeshedProxy[] | undefined,
    { subject, next }: Pick<Fault, "subject" | "next">,
): Fault[] {
    const dropped = without(readBundle(issuer.trustAnchors), readBundle(declared.trustAnchors));
    const names = dropped.map((one) => one.subject).join(", ");
    if (dropped.length === 0) {
        return [];
    }
    if (declared.certificate.trim() !== issuer.certificate.trim()) {
        return [
            {
                subject,
                rule: `drops a trust anchor (${names}) in the same update that changes the issuer; proxies that run would lose mTLS`,
                next,
            },
        ];
    }
    if (issuer.issuedAt === undefined) {
        return [];
    }
    const { servedSince } = issuer;
    const older = (proxies ?? []).filter((one) => one.createdAt < (servedSince ?? Infinity));
    return older.length === 0
        ? []
        : [
              {
                  subject,
                  rule: `drops a trust anchor (${names}) while ${older.length} pods were made before the new issuer served and may have certificates of the old one: ${namesOf(older)}`,
                  next,
              },
          ];
}

function namesOf(pods: readonly MeshedProxy[]): string {
    const shown = pods.slice(0, MOST_PODS).map((one) => `${one.namespace}/${one.name}`);
    const more = pods.length - shown.length;
    return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
