import { defineConfig } from "vitest/config";

export default defineConfig({
    test: {
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
