import { z } from "zod";
import { isSpan, spanMilliseconds, type Span } from "./durations";
import type { Rotation } from "./rotation";

/**
 * Where the mesh's trust anchor and issuer come from. Static: it does not depend on what is found in the
 * cluster. `generated`: made by the first update and kept by the stack. `adopted`: the live ones are kept, and there have to
 * be some. `config`: PEM texts of the user's. `cert-manager`: it issues and renews, and signs with the anchor in the cluster.
 */
export type IdentityConfig =
    | {
          readonly source: "generated" | "adopted";
          /** Absent: keys and anchors stay as they are. */
          readonly rotation?: Rotation | undefined;
      }
    | {
          readonly source: "config";
          readonly trustAnchors: string;
          readonly issuer: { readonly certificate: string; readonly key: string };
      }
    | { readonly source: "cert-manager" };

/** How far the webhooks' certificates have become the stack's own; see plan/webhooks.ts. */
export type WebhookStage = (typeof WEBHOOK_STAGES)[number];
const WEBHOOK_STAGES = ["adopted", "publish", "swap", "own"] as const;

/** Limits for certificates. */
export interface CertificatesConfig {
    /** Refused is what ends before the planned end of the update and this time more. */
    readonly refuseBefore: Span;
    /** A webhook's certificate that has less time left is renewed. */
    readonly renewWebhooksBefore: Span;
    readonly webhooks: WebhookStage;
}

const pem = (kind: string) =>
    z.string().regex(new RegExp(`-----BEGIN [A-Z ]*${kind}-----`), `must be PEM text (${kind})`);

/** YAML reads 2027 as a number. */
const rotationName = z.coerce
    .string()
    .regex(
        /^[a-z0-9]([a-z0-9.-]{0,38}[a-z0-9])?$/,
        "must be a name of 1 to 40 lower-case letters, digits, dots and dashes, such as 2027-01",
    );
const rotation = z
    .union(
        [
            z.strictObject({ issuer: rotationName }),
            z.strictObject({
                anchor: rotationName,
                stage: z.enum(["bundle", "issuer", "finish"]),
            }),
        ],
        "must be { issuer: NAME } or { anchor: NAME, stage: bundle, issuer or finish }; NAME of up to 40 lower-case letters, digits, dots and dashes",
    )
    .optional();

/** Section `identity` of the stack file. */
export const identitySection = z.discriminatedUnion("source", [
    z.strictObject({ source: z.literal("generated"), rotation }),
    z.strictObject({ source: z.literal("adopted"), rotation }),
    z.strictObject({
        source: z.literal("config"),
        trustAnchors: pem("CERTIFICATE"),
        issuer: z.strictObject({ certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") }),
    }),
    z.strictObject({
        source: z.literal("cert-manager"),
        rotation: z
            .never(
                "is not for identity.source: cert-manager, which renews the issuer by itself; the trust anchor is rotated with source generated or adopted",
            )
            .optional(),
    }),
]);

/** A leaf lives for two years, so more would renew it in every update. */
const LONGEST_RENEWAL: Span = "700d";

const span = (longest?: Span) =>
    z.custom<Span>(
        (value) =>
            typeof value === "string" &&
            isSpan(value) &&
            (longest === undefined || spanMilliseconds(value) <= spanMilliseconds(longest)),
        `must be a time such as 24h or 60d${longest === undefined ? "" : `, ${longest} at most`}`,
    );

/** Section `certificates` of the stack file. */
export const certificatesSection = z.strictObject({
    refuseBefore: span().default("24h"),
    renewWebhooksBefore: span(LONGEST_RENEWAL).default("365d"),
    webhooks: z.enum(WEBHOOK_STAGES).optional(),
});
