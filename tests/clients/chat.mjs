// People chat on a fresh server with an unmodified matrix-js-sdk; the server is killed, and they go on where they were.
//
//   node chat.mjs path/to/commonroom

import assert from "node:assert/strict";

import { killTheServer, talkThroughACrash } from "./crashes.mjs";
import { chat } from "./ordinary_day.mjs";
import { Device, devices, refusal } from "./support/device.mjs";
import { Server } from "./support/server.mjs";
import { step } from "./support/story.mjs";

const PASSWORD = "correct horse battery staple";

const server = await Server.start(process.argv[2]);
const failure = await story().catch((error) => error);
if (failure) {
    tell(failure);
}
devices.forEach((device) => device.close());
// The SDK's timers for requests that were given up would keep Node here for minutes.
process.exit(failure ? 1 : 0);

async function story() {
    const people = await makeAccounts();
    await chat(people, "before the crash");
    await killTheServer(server, people);
    await talkThroughACrash(server, people);
    await chat(people, "after the crash");

    devices.forEach((device) => device.close());
    await step("the server stops in good order", () => server.stop());
    console.log("Everything works, also after the crash.");
}

async function makeAccounts() {
    console.log("Accounts");
    const phone = await step("alice registers on her phone, with the token that the server printed", () =>
        register("alice", server.firstToken),
    );
    const token = await step("she makes a token for the others", () => server.createToken(3));
    const bob = await step("bob registers", () => register("bob", token));
    const carol = await step("carol registers", () => register("carol", token));
    const stranger = await step("dave, who knows nobody, registers", () => register("dave", token));

    await step("a token that is used up makes no account", async () => {
        assert.ok((await refusal(Device.register(server.url, "eve", PASSWORD, token))).data.flows);
    });
    await step("a name that is taken is refused", async () => {
        const error = await refusal(Device.register(server.url, "alice", PASSWORD, server.createToken(1)));
        assert.equal(error.errcode, "M_USER_IN_USE");
    });
    await step("a wrong password is refused", async () => {
        const error = await refusal(Device.logIn(server.url, "alice", "wrong", "burglar"));
        assert.equal(error.errcode, "M_FORBIDDEN");
    });
    const laptop = await step("alice logs in on her laptop", () => logIn("alice", "laptop"));
    await step("a device that logs out is gone, and its token with it", async () => {
        const tablet = await Device.logIn(server.url, "alice", PASSWORD, "tablet");
        await tablet.client.logout();
        assert.equal((await refusal(tablet.client.whoami())).errcode, "M_UNKNOWN_TOKEN");
        const { devices } = await phone.client.getDevices();
        assert.deepEqual(devices.map((device) => device.display_name).sort(), ["alice's phone", "laptop"]);
    });
    await step("alice sets her name", () => phone.client.setDisplayName("Alice"));
    return { alice: { phone, laptop }, bob, carol, stranger };
}

async function register(username, token) {
    return await (await Device.register(server.url, username, PASSWORD, token)).start();
}

async function logIn(username, deviceName) {
    return await (await Device.logIn(server.url, username, PASSWORD, deviceName)).start();
}

function tell(error) {
    console.error("\nThe story ends early:");
    for (let cause = error; cause; cause = cause.cause) {
        console.error(`- ${cause.stack ?? cause}`);
    }
    for (const device of devices.filter(({ complaints }) => complaints.length > 0)) {
        console.error(`\n${device} complained:\n${device.complaints.slice(-10).join("\n")}`);
    }
    console.error(`\nThe server's last log lines:\n${server.logTail}`);
}
