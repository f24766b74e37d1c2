// Begins a wave: a fresh id, which makes the wave run once for each target; see components/dataPlane/rollout.ts.
import { randomUUID } from "node:crypto";

process.stdout.write(randomUUID());
