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

/** Answers an AdmissionReview: allowed, with the steps as a patch where there are any. */
export async function review(
    body: unknown,
    decide: (request: AdmissionRequest) => Promise<PatchStep[]>,
): Promise<{ status: number; body: unknown }> {
    const { apiVersion, request } = reviewSchema.parse(body);
    const steps = await decide(request);
    const patch =
        steps.length === 0
            ? {}
            : {
                  patchType: "JSONPatch",
                  patch: Buffer.from(JSON.stringify(steps)).toString("base64"),
              };
    const response = { uid: request.uid, allowed: true, ...patch };
    return { status: 200, body: { apiVersion, kind: "AdmissionReview", response } };
}

/** A webhook that lets everything pass as it is. */
export function allowAll(_path: string, body: unknown): Promise<{ status: number; body: unknown }> {
    return review(body, () => Promise.resolve([]));
}
