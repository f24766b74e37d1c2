const undos = new Set<() => void>();
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Registers a synchronous undo that runs when the process ends early: on SIGINT, SIGTERM, SIGHUP
 * or process.exit. The latest registered runs first. Returns the function that takes it back.
 */
export function onInterruption(undo: () => void): () => void {
    if (undos.size === 0) {
        signals.forEach((signal) => process.on(signal, interrupted));
        process.on("exit", undoAll);
    }
    undos.add(undo);
    return () => {
        if (undos.delete(undo) && undos.size === 0) {
            stopListening();
        }
    };
}

function interrupted(signal: NodeJS.Signals): void {
    undoAll();
    // Whoever else listens decides how the process ends; with nobody, the default has to happen.
    if (process.listenerCount(signal) === 0) {
        process.kill(process.pid, signal);
    }
}

function undoAll(): void {
    stopListening();
    for (const undo of [...undos].reverse()) {
        undos.delete(undo);
        try {
            undo();
        } catch {
            // The others must still get their turn.
        }
    }
}

function stopListening(): void {
    signals.forEach((signal) => process.off(signal, interrupted));
    process.off("exit", undoAll);
}
