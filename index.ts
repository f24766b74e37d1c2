import * as pulumi from "@pulumi/pulumi";
import { ClusterError, connect } from "./cluster/connection";
import { failure } from "./components/failure";
import { readConfig } from "./config";
import { formatFaults, RefusedError } from "./plan/faults";
import { istio } from "./program/istio";
import { linkerd } from "./program/linkerd";

async function program() {
    const config = await readConfig();
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    const connection = await connect(config);
    return config.mesh === "istio"
        ? istio(config, stack, connection)
        : linkerd(config, stack, connection);
}

/** Refusals are for people: their text, without a stack trace. */
export = async () => {
    try {
        return await program();
    } catch (error) {
        if (error instanceof RefusedError) {
            throw failure(error.message);
        }
        if (error instanceof ClusterError) {
            throw failure(formatFaults([error]));
        }
        throw error;
    }
};
