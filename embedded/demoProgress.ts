/** A message of a wave's command: `command:local:Command rest creating (1s) [diff: ...]; shop/Deployment/web: ...`. */
const COMMAND =
    /command:local:Command (\S+) creating(?: replacement)? \(\d+s\)(?: \[[^\]]*\];?)? ([^[].*)$/;
const FINISHED =
    / (created|updated|replaced|deleted)( original)?( \([\d.]+s\))?( \[[^\]]*\])?;? *$/;
const EVERY_MS = 5_000;

/**
 * Turns the engine's many lines into a log of one screen: the waves' own messages as they come, a count of the
 * resources that are done every 5 s, and the engine's closing lines.
 */
export function upProgress(say: (line: string) => void): (line: string) => void {
    const begun = Date.now();
    let told = begun;
    let done = 0;
    let closing = false;
    return (line) => {
        closing ||= /^Resources:/.test(line);
        const command = COMMAND.exec(line);
        if (command) {
            say(`${command[1]}: ${command[2]}`);
        } else if (closing && line.trim() !== "") {
            say(line);
        } else if (FINISHED.test(line)) {
            done += 1;
        }
        if (Date.now() - told >= EVERY_MS) {
            told = Date.now();
            say(`... ${done} resources done after ${Math.round((told - begun) / 1000)} s`);
        }
    };
}
