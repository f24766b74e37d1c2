// The update of a wave's commands: an input changed that is no reason to run again, so the last result stands.
process.stdout.write(process.env["PULUMI_COMMAND_STDOUT"] ?? "");
