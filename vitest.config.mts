import { basename } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Of five minutes and more, longest first. One that starts last keeps a single core busy, and its size tells nothing. */
const long = [
    "gates",
    "checks",
    "faultTable",
    "backup",
    "rotation",
    "review",
    "adopt",
    "policy",
    "cni",
    "highAvailability",
    "adoptCli",
    "upgrade",
].map((name) => `${name}.test.ts`);

class LongestFirst extends BaseSequencer {
    override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
        const rank = ({ moduleId, project }: TestSpecification) => {
            const place = project.name === "e2e" ? long.indexOf(basename(moduleId)) : -1;
            return place === -1 ? long.length : place;
        };
        // Stable: the others stay in vitest's own order.
        return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
    }
}

export default defineConfig({
    test: {
        sequence: { sequencer: LongestFirst },
        projects: [
            { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
            {
                test: {
                    name: "e2e",
                    include: ["test/e2e/**/*.test.ts"],
                    // Journeys start clusters and wait half of the time; two cores carry two files at a time.
                    maxWorkers: 2,
                    testTimeout: 900_000,
                    hookTimeout: 900_000,
                },
            },
        ],
    },
});
