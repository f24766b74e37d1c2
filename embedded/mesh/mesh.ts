import type { V1Pod, V1Service } from "@kubernetes/client-node";
import type { KeyPair } from "../../plan/certificates";
import type { Handler } from "./server";

/** A pod of a mesh as the API server meets it, started. */
export interface Program {
    readonly handler: Handler;
    /** What a call to a Service of the pod is served with. Throws Unreachable where there is none. */
    leafFor(service: V1Service): KeyPair | Promise<KeyPair>;
}

/** What pods of a mesh run. */
export interface Role {
    /** Unique among all meshes. */
    readonly name: string;
    /** Starts it for a pod; throws where the pod lacks what it needs to start. */
    start(pod: V1Pod): Promise<Program>;
}

/** A mesh whose pods are played by stand-ins. */
export interface Mesh {
    /** For the log: whose calls are answered. */
    readonly answersFor: string;
    /** What a pod plays when the Service is called; undefined for what is not of this mesh. */
    roleFor(service: V1Service, pod: V1Pod): Role | undefined;
    /** What a pod plays from the moment it is Ready; undefined where it may wait for a call. */
    roleAtStart(pod: V1Pod): Role | undefined;
}
