// Before the stack writes the Secrets of issuer and webhooks itself, nobody else may: cert-manager would issue anew what does
// not look like its own. So the Certificates that the stack asked for go first; their Secrets stay, and are in use.
import { connect } from "../../cluster/connection";
import { webhooksOf } from "../../plan/webhooks";
import { handOverInput, readInput } from "../input";
import { runProgram } from "../program";
import { withdrawCertificates } from "./withdrawCertificates";

runProgram(async () => {
    const { cluster, to, stack, jaeger } = await readInput(handOverInput);
    if (to === "stack") {
        await withdrawCertificates(await connect(cluster), stack, webhooksOf({ jaeger }));
    }
    process.stdout.write(to);
});
