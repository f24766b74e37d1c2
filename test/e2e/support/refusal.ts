import { expect } from "vitest";
import type { Journey } from "./journey";
import { snapshot } from "./snapshot";

/** `pulumi up` is refused with these texts, and the cluster is as it was. */
export async function expectRefused(
    journey: Journey,
    ...expected: readonly RegExp[]
): Promise<void> {
    const before = await snapshot(journey.connection);
    const { output } = await journey.failingUp();
    for (const one of expected) {
        expect(output).toMatch(one);
    }
    expect(output).toMatch(/mesh-upgrade refused; nothing was changed/);
    expect(await snapshot(journey.connection)).toEqual(before);
}
