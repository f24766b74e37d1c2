import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, describeTrouble, type KubeApi, type RawObject } from "../cluster/api";
import { ConnectionError } from "../cluster/transport";

export interface LeaseOptions {
    readonly namespace: string;
    /** Defaults to "mesh-upgrade-rollout". */
    readonly name?: string;
    /** Defaults to `host/pid/uuid`: by this form another run on the same host can tell that it is dead. */
    readonly holder?: string;
    /** leaseDurationSeconds, how long the holder may be silent. Defaults to 20. */
    readonly seconds?: number;
    /** Told once: from now on another rollout may begin. */
    readonly onLost: (reason: string) => void;
    /** Told in single lines what is waited for, and what was taken over. */
    readonly say?: (line: string) => void;
}

export interface HeldLease {
    /** Gives it up. Never throws: what cannot be deleted runs out by itself, and `say` is told. Safe to repeat. */
    release(): Promise<void>;
}

/** The lease belongs to somebody who is alive. */
export class LeaseHeldError extends Error {
    constructor(
        /** `namespace/name` */
        readonly lease: string,
        readonly holder: string,
        message: string,
    ) {
        super(message);
        this.name = "LeaseHeldError";
    }
}

/** Others that write at the same moment, or answers that got lost: looked at again so often. */
const TRIES = 10;
const PAUSE_MS = 250;
/** A program that ends should end, also without an API server. */
const RELEASE_MS = 5_000;

/**
 * Keeps two rollouts apart: takes the Lease, and renews it until `release`. A holder whose process is dead on this host
 * is followed at once; one that is silent, after its own leaseDurationSeconds, measured by this machine's clock alone.
 * @throws LeaseHeldError where the holder gives a sign of life; ApiError, ConnectionError.
 */
export async function takeLease(api: KubeApi, options: LeaseOptions): Promise<HeldLease> {
    const target = new Target(api, options);
    return new Holding(target, await acquire(target), options.onLost);
}

interface Lease extends RawObject {
    readonly metadata: { readonly uid: string; readonly resourceVersion: string };
    readonly spec?: {
        readonly holderIdentity?: string;
        readonly leaseDurationSeconds?: number;
        readonly acquireTime?: string;
        readonly renewTime?: string;
        readonly leaseTransitions?: number;
    };
}

/** A lease of ours, and when the request began that last renewed it: not later than anybody saw it. */
interface Held {
    readonly lease: Lease;
    readonly at: number;
}

/** The Lease object: how it is read and written, whoever holds it. */
class Target {
    readonly id: string;
    readonly holder: string;
    readonly seconds: number;
    readonly say: (line: string) => void;
    private readonly collection: string;
    private readonly name: string;

    constructor(
        private readonly api: KubeApi,
        private readonly options: LeaseOptions,
    ) {
        this.name = options.name ?? "mesh-upgrade-rollout";
        this.id = `${options.namespace}/${this.name}`;
        this.holder = options.holder ?? `${hostname()}/${process.pid}/${randomUUID()}`;
        this.seconds = options.seconds ?? 20;
        this.say = (line) => options.say?.(`Lease ${this.id}: ${line}`);
        this.collection = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
    }

    async read(signal?: AbortSignal): Promise<Lease | undefined> {
        try {
            return (await this.api.send("GET", this.path, { signal })) as Lease;
        } catch (error) {
            if (isStatus(error, 404)) {
                return undefined;
            }
            throw error;
        }
    }

    /** Makes it ours where nobody wrote meanwhile. @throws ApiError 409 where somebody did. */
    async write(live: Lease | undefined, signal?: AbortSignal): Promise<Held> {
        const at = performance.now();
        const now = new Date().toISOString().replace("Z", "000Z");
        const before = live?.spec ?? {};
        const ours = before.holderIdentity === this.holder;
        const spec = {
            ...before,
            holderIdentity: this.holder,
            leaseDurationSeconds: this.seconds,
            acquireTime: ours ? before.acquireTime : now,
            renewTime: now,
            leaseTransitions:
                live && !ours ? (before.leaseTransitions ?? 0) + 1 : (before.leaseTransitions ?? 0),
        };
        const lease = live
            ? await this.api.send("PUT", this.path, { body: { ...live, spec }, signal })
            : await this.api.send("POST", this.collection, {
                  body: {
                      apiVersion: "coordination.k8s.io/v1",
                      kind: "Lease",
                      metadata: { name: this.name, namespace: this.options.namespace },
                      spec,
                  },
                  signal,
              });
        return { lease: lease as Lease, at };
    }

    /** @throws ApiError 409 where it is no longer this very lease. */
    async remove({ metadata }: Lease, signal: AbortSignal): Promise<void> {
        const { uid, resourceVersion } = metadata;
        await this.api.send("DELETE", this.path, {
            body: {
                apiVersion: "v1",
                kind: "DeleteOptions",
                preconditions: { uid, resourceVersion },
            },
            signal,
        });
    }

    heldBy(holder: string, since: string): LeaseHeldError {
        const { namespace } = this.options;
        return new LeaseHeldError(
            this.id,
            holder,
            `Lease ${this.id} is held by ${holder} since ${since}, and the holder is alive: ` +
                `one rollout at a time in a cluster. Next: wait for it to end, or, where it is surely gone, ` +
                `kubectl -n ${namespace} delete lease ${this.name}`,
        );
    }

    private get path(): string {
        return `${this.collection}/${this.name}`;
    }
}

async function acquire(target: Target): Promise<Held> {
    let first: { readonly sign: string; readonly at: number } | undefined;
    let lost = 0;
    for (;;) {
        const live = await target.read();
        const holder = live?.spec?.holderIdentity ?? "";
        const vacancy = whyVacant(holder, target.holder);
        const limit = (live?.spec?.leaseDurationSeconds ?? target.seconds) * 1000;
        const sign = [live?.metadata.uid, holder, live?.spec?.renewTime].join();
        const silent = first?.sign === sign && performance.now() - first.at >= limit;
        if (!live || vacancy !== undefined || silent) {
            try {
                const held = await target.write(live);
                if (live && holder !== "" && holder !== target.holder) {
                    target.say(
                        `taken over from ${holder} (${vacancy ?? `silent for ${limit / 1000} s`})`,
                    );
                }
                return held;
            } catch (error) {
                if (!mayHaveChanged(error, live) || ++lost === TRIES) {
                    throw error;
                }
                await sleep(PAUSE_MS);
                continue;
            }
        }
        if (first && first.sign !== sign) {
            throw target.heldBy(holder, sinceOf(live));
        }
        if (!first) {
            first = { sign, at: performance.now() };
            target.say(
                `held by ${holder} since ${sinceOf(live)}; waiting up to ${limit / 1000} s for a sign of life`,
            );
        }
        await sleep(Math.min(1_000, limit / 4));
    }
}

/** Why the lease may be taken at once; undefined where its holder may be alive. */
function whyVacant(holder: string, own: string): string | undefined {
    if (holder === "") {
        return "nobody held it";
    }
    if (holder === own) {
        return "held already";
    }
    const [, host, pid] = /^([^/]+)\/([1-9]\d*)\/[^/]+$/.exec(holder) ?? [];
    return host === hostname() && isDead(Number(pid)) ? "its process is dead" : undefined;
}

function isDead(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return false;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
}

class Holding implements HeldLease {
    private readonly ending = new AbortController();
    private renewing: Promise<void> = Promise.resolve();
    private timer: NodeJS.Timeout | undefined;
    private released: Promise<void> | undefined;
    /** Why the last renewal failed. */
    private trouble: string | undefined;

    constructor(
        private readonly target: Target,
        private held: Held,
        private readonly onLost: (reason: string) => void,
    ) {
        this.schedule(this.period);
    }

    release(): Promise<void> {
        return (this.released ??= this.giveUp());
    }

    /** Two renewals may fail before the time is over. */
    private get period(): number {
        return (this.target.seconds * 1000) / 3;
    }

    private schedule(ms: number): void {
        this.timer = setTimeout(() => {
            this.renewing = this.renew();
        }, ms).unref();
    }

    private async renew(): Promise<void> {
        const { target, period } = this;
        const left = this.held.at + target.seconds * 1000 - performance.now();
        if (left <= 0 && this.trouble !== undefined) {
            this.lose(`it could not be renewed for ${target.seconds} s (${this.trouble})`);
            return;
        }
        // Bounded, so that one request that hangs does not use up the time of the next. A process that was stopped for
        // longer may try once: where the write succeeds, nobody took the lease meanwhile.
        const limit = AbortSignal.timeout(Math.ceil(left > 0 ? Math.min(left, period) : period));
        const signal = AbortSignal.any([this.ending.signal, limit]);
        try {
            this.held = await target.write(this.held.lease, signal);
            this.trouble = undefined;
            this.schedule(period);
        } catch (error) {
            if (this.ending.signal.aborted) {
                return;
            }
            await this.lookAgain(error, signal);
        }
    }

    /** After a renewal that failed: whether the lease is still ours. */
    private async lookAgain(failure: unknown, signal: AbortSignal): Promise<void> {
        let again = Math.min(PAUSE_MS, this.period / 4);
        try {
            if (!isStatus(failure, 409) && !isStatus(failure, 404)) {
                throw failure;
            }
            const live = await this.target.read(signal);
            const holder = live?.spec?.holderIdentity;
            if (!live || holder !== this.target.holder) {
                this.lose(live ? `${holder || "nobody"} holds it now` : "it was deleted");
                return;
            }
            // An answer of ours got lost, or somebody changed something else in it.
            this.held = { lease: live, at: this.held.at };
            again = 0;
        } catch (error) {
            this.trouble = error === signal.reason ? "no answer" : describeTrouble(error);
        }
        if (!this.ending.signal.aborted) {
            this.schedule(again);
        }
    }

    private lose(reason: string): void {
        this.ending.abort();
        this.onLost(`Lease ${this.target.id} is lost: ${reason}`);
    }

    private async giveUp(): Promise<void> {
        clearTimeout(this.timer);
        this.ending.abort();
        await this.renewing;
        const signal = AbortSignal.timeout(RELEASE_MS);
        let lease: Lease | undefined = this.held.lease;
        try {
            while (lease?.spec?.holderIdentity === this.target.holder) {
                try {
                    await this.target.remove(lease, signal);
                    return;
                } catch (error) {
                    if (!isStatus(error, 409)) {
                        throw error;
                    }
                    // The renewal that was called off may have been carried out.
                    lease = await this.target.read(signal);
                }
            }
        } catch (error) {
            if (!isStatus(error, 404)) {
                this.target.say(
                    `could not be deleted (${describeTrouble(error)}); it runs out after ${this.target.seconds} s`,
                );
            }
        }
    }
}

function sinceOf({ spec }: Lease): string {
    return spec?.acquireTime ?? spec?.renewTime ?? "an unknown time";
}

function isStatus(error: unknown, status: number): boolean {
    return error instanceof ApiError && error.status === status;
}

/** A write that lost against another, or whose outcome is unknown. */
function mayHaveChanged(error: unknown, written: Lease | undefined): boolean {
    return (
        error instanceof ConnectionError ||
        isStatus(error, 409) ||
        isStatus(error, 504) ||
        // Deleted meanwhile; where it was to be created, the namespace is missing.
        (isStatus(error, 404) && written !== undefined)
    );
}
