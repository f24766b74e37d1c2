// Before a revision or a tag is deleted: nothing may use it, now and after a while.
import { connect } from "../../cluster/connection";
import { milliseconds, type Duration } from "../../plan/durations";
import { readInput } from "../input";
import { runProgram } from "../program";
import { guardInput } from "./input";
import { refuseWhileUsed } from "./unused";

runProgram(async () => {
    const { cluster, kind, name, grace } = await readInput(guardInput);
    await refuseWhileUsed(await connect(cluster), kind, name, milliseconds(grace as Duration));
});
