import { z } from "zod";

const reviewSchema = z.object({
    apiVersion: z.string(),
    request: z.object({
        uid: z.string(),
        kind: z.object({ kind: z.string() }),
        operation: z.string(),
        namespace: z.string().optional(),
        object: z.unknown(),
    }),
});

/** What a webhook is asked. */
export type AdmissionRequest = z.infer<typeof reviewSchema>["request"];

/** One step of a JSON patch (RFC 6902). */
export interface PatchStep {
    op: "add";
    path: string;
    value: unknown;
}

/** The webhook's "no", with what the user is told. */
export interface Refusal {
    readonly message: string;
}

/** Answers an AdmissionReview: refused, or allowed, with the steps as a patch where there are any. */
export async function review(
    body: unknown,
    decide: (request: AdmissionRequest) => Promise<PatchStep[] | Refusal>,
): Promise<{ status: number; body: unknown }> {
    const { apiVersion, request } = reviewSchema.parse(body);
    const response = { uid: request.uid, ...answer(await decide(request)) };
    return { status: 200, body: { apiVersion, kind: "AdmissionReview", response } };
}

function answer(decision: PatchStep[] | Refusal): object {
    if (!Array.isArray(decision)) return { allowed: false, status: decision };
    if (decision.length === 0) return { allowed: true };
    const patch = Buffer.from(JSON.stringify(decision)).toString("base64");
    return { allowed: true, patchType: "JSONPatch", patch };
}

/** A webhook that lets everything pass as it is. */
export function allowAll(_path: string, body: unknown): Promise<{ status: number; body: unknown }> {
    return review(body, () => Promise.resolve([]));
}
