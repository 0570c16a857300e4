// Steps with names, and waiting for a condition instead of for time.

import { setTimeout as pause } from "node:timers/promises";

/** How long a step waits for what should happen at once; generous, since the machine may be busy. */
export const PATIENCE_MS = 30_000;

/** Tells what happens next and does it; when it fails, the failure carries the step's name. */
export async function step(name, happens) {
    try {
        const outcome = await happens();
        console.log(`  ok: ${name}`);
        return outcome;
    } catch (cause) {
        throw new Error(`this step failed: ${name}`, { cause });
    }
}

/**
 * Repeats `attempt` until it neither throws nor gives something falsy, and gives what it gave. After the deadline it
 * fails with what the last attempt said.
 */
export async function eventually(what, attempt) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        let cause;
        try {
            const outcome = await attempt();
            if (outcome) {
                return outcome;
            }
        } catch (error) {
            cause = error;
        }
        if (Date.now() > deadline) {
            throw new Error(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`, { cause });
        }
        await pause(20);
    }
}
