// Proves the embedded cluster on this machine. It does not prove that the stand-ins answer as the
// real programs do: they are compared with the charts, not with a running Linkerd.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import {
    ApiregistrationV1Api,
    AppsV1Api,
    CoreV1Api,
    KubernetesObjectApi,
    type V1Pod,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bringUp } from "../../embedded/bringUp";
import { type EmbeddedCluster, startCluster, stopKeptCluster } from "../../embedded/cluster";
import { loadContext } from "../../embedded/context";
import { type ClusterRecord, makeDirectory } from "../../embedded/directory";
import { removeCluster } from "../../embedded/stop";
import { createSampleApplication, waitForSample } from "../../embedded/sampleApplication";
import { ensureToolchain, type Toolchain } from "../../toolchain/index";
import { changeInjector, configureVersion, installInjector, proxyOf } from "./embeddedCluster.mesh";
import { mint } from "../../plan/certificates";
import { eventually, isLoopback, listeningAddresses, processesOf } from "./embeddedCluster.support";
