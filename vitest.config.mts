import { defineConfig } from "vitest/config";

export default defineConfig({
    test: {
        projects: [
            { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
            {
                test: {
                    name: "e2e",
                    include: ["test/e2e/**/*.test.ts"],
                    // Journeys start clusters; two cores carry one file at a time.
                    fileParallelism: false,
                    testTimeout: 600_000,
                    hookTimeout: 600_000,
                },
            },
        ],
    },
});
