// People chat on a fresh server with an unmodified matrix-js-sdk; the server is killed, and they go on where they were.
//
//   node chat.mjs path/to/commonroom

import assert from "node:assert/strict";

import { killTheServer, talkThroughACrash } from "./crashes.mjs";
import { chat } from "./ordinary_day.mjs";
import { Device, refusal } from "./support/device.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { step } from "./support/story.mjs";

await play(story, process.argv[2]);

async function story(server) {
    const people = await makeAccounts(server);
    await chat(people, "before the crash");
    await killTheServer(server, people);
    await talkThroughACrash(server, people);
    await chat(people, "after the crash");
}

async function makeAccounts(server) {
    const register = (username, token) => started(Device.register(server.url, username, PASSWORD, token));
    const logIn = (username, deviceName) => started(Device.logIn(server.url, username, PASSWORD, deviceName));
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

async function started(device) {
    return await (await device).start();
}
