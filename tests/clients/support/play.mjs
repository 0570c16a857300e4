// Plays a story against a fresh server, and tells what was going on when it ends early.

import { devices } from "./device.mjs";
import { Server } from "./server.mjs";
import { step } from "./story.mjs";

/** Everybody's. */
export const PASSWORD = "correct horse battery staple";

/** Starts the server of the given binary, has the story happen on it, and ends the process. */
export async function play(story, binary) {
    const server = await Server.start(binary);
    const failure = await toItsEnd(story, server).catch((error) => error);
    if (failure) {
        tell(failure, server);
    }
    devices.forEach((device) => device.close());
    // The SDK's timers for requests that were given up would keep Node here for minutes.
    process.exit(failure ? 1 : 0);
}

async function toItsEnd(story, server) {
    await story(server);
    devices.forEach((device) => device.close());
    await step("the server stops in good order", () => server.stop());
    console.log("Everything works.");
}

function tell(error, server) {
    console.error("\nThe story ends early:");
    for (let cause = error; cause; cause = cause.cause) {
        console.error(`- ${cause.stack ?? cause}`);
    }
    for (const device of devices.filter(({ complaints }) => complaints.length > 0)) {
        console.error(`\n${device} complained:\n${device.complaints.slice(-10).join("\n")}`);
    }
    console.error(`\nThe server's last log lines:\n${server.logTail}`);
}
