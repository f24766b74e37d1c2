import type { X509Certificate } from "node:crypto";
import { isoDate, leadsTo, readBundle, validityProblem, without } from "./certificates";
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
 * one. `next` is the way out. A proxy whose anchors have all expired has lost it already.
 */
export function strangerFaults(
    issuer: string,
    proxies: readonly MeshedProxy[],
    next: string,
    now: Date,
): Fault[] {
    const [certificate, ...intermediates] = readBundle(issuer);
    const bundles = new Map<string, boolean>();
    const accepts = (anchors: string) => {
        const known = bundles.get(anchors);
        if (known !== undefined || !certificate) {
            return known ?? false;
        }
        const trusted = readable(anchors);
        const accepted =
            leadsTo(certificate, intermediates, trusted) ||
            (trusted.length > 0 && !trusted.some((one) => isValid(one, now)));
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

function isValid(certificate: X509Certificate, now: Date): boolean {
    return validityProblem(certificate, now) === undefined;
}

/**
 * A fault where anchors are dropped that a running pod's certificate may still need. A pod that was made after the issuer
 * was served has a certificate of that issuer; `issuer` is the live one, which has to be the declared one as well. Where
 * this stack did not bring the issuer, a pod is safe that is younger than its certificate. An anchor that has expired
 * verifies nothing any more.
 */
export function dropFaults(
    issuer: LiveIssuer,
    declared: { readonly certificate: string; readonly trustAnchors: string },
    proxies: readonly MeshedProxy[] | undefined,
    { subject, next, now }: Pick<Fault, "subject" | "next"> & { readonly now: Date },
): Fault[] {
    const gone = without(readBundle(issuer.trustAnchors), readBundle(declared.trustAnchors));
    const dropped = gone.filter((one) => isValid(one, now));
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
    const begin = readBundle(issuer.certificate)[0]?.validFrom ?? "";
    const [since, told] =
        issuer.issuedAt === undefined
            ? [Date.parse(begin), `the issuer (its certificate begins on ${isoDate(begin)})`]
            : [issuer.servedSince ?? Infinity, "the new issuer served"];
    const older = (proxies ?? []).filter((one) => one.createdAt < since);
    return older.length === 0
        ? []
        : [
              {
                  subject,
                  rule: `drops a trust anchor (${names}) while ${older.length} pods were made before ${told} and may have certificates of the old one: ${namesOf(older)}`,
                  next,
              },
          ];
}

function namesOf(pods: readonly MeshedProxy[]): string {
    const shown = pods.slice(0, MOST_PODS).map((one) => `${one.namespace}/${one.name}`);
    const more = pods.length - shown.length;
    return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
