// People talk so that the server cannot read it, with an unmodified matrix-js-sdk; a new device gets the keys from the backup.
//
//   node secrets.mjs path/to/commonroom

import assert from "node:assert/strict";

import { compareEmoji } from "./support/emoji.mjs";
import { EncryptingDevice } from "./support/encrypting_device.mjs";
import { matches, shows } from "./support/expectations.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { eventually, step } from "./support/story.mjs";

await play(story, process.argv[2]);

async function story(server) {
    const { alice, bob, recoveryKey } = await setUp(server);
    const roomId = await meet(alice, bob);
    const said = await talk(roomId, alice, bob);
    await shareAFile(roomId, alice, bob);
    const laptop = await recoverOnANewDevice(server, roomId, { alice, bob, recoveryKey, said });
    const tablet = await trustAnotherDevice(server, roomId, { alice, bob });
    await goOnAfterACrash(server, roomId, { "alice's phone": alice, bob, "her laptop": laptop, "her tablet": tablet });
}

async function setUp(server) {
    console.log("Everybody gets keys");
    const register = async (name, token) => {
        return await (await EncryptingDevice.register(server.url, name, PASSWORD, token)).start();
    };
    const alice = await step("alice registers on her phone", () => register("alice", server.firstToken));
    const bob = await step("bob registers", () => register("bob", server.createToken(1)));
    const recoveryKey = await step("alice sets up encryption and writes down her recovery key", () =>
        alice.setUpEncryption(),
    );
    await step("bob does so too", () => bob.setUpEncryption());
    await step("both have an identity, secrets on the server and a backup", async () => {
        for (const device of [alice, bob]) {
            assert.ok(await device.crypto.isCrossSigningReady());
            assert.ok(await device.crypto.isSecretStorageReady());
            assert.ok(await device.crypto.getActiveSessionBackupVersion());
        }
    });
    return { alice, bob, recoveryKey };
}

async function meet(alice, bob) {
    console.log("Two people talk in secret");
    const roomId = await step("alice makes an encrypted room with bob", async () => {
        const content = { algorithm: "m.megolm.v1.aes-sha2" };
        const encryption = { type: "m.room.encryption", state_key: "", content };
        const room = { preset: "private_chat", invite: [bob.userId], initial_state: [encryption] };
        return (await alice.client.createRoom(room)).room_id;
    });
    await step("bob joins, and both know that the room is encrypted", async () => {
        await eventually("an invitation", () => bob.membership(roomId) === "invite");
        await bob.client.joinRoom(roomId);
        await eventually("bob joined", () => alice.room(roomId).getMember(bob.userId)?.membership === "join");
        for (const device of [alice, bob]) {
            await eventually("encryption", () => device.crypto.isEncryptionEnabledInRoom(roomId));
        }
    });
    return roomId;
}

async function talk(roomId, alice, bob) {
    const said = ["What is the password?", "Swordfish", "Swordfish it is"];
    await step("each says something, and the other reads it", async () => {
        await alice.say(roomId, said[0]);
        await shows(bob, roomId, said.slice(0, 1));
        await bob.say(roomId, said[1]);
        await shows(alice, roomId, said.slice(0, 2));
        await alice.say(roomId, said[2]);
        await shows(bob, roomId, said);
    });
    await step("what the server has of it says nothing", async () => {
        const page = await alice.client.createMessagesRequest(roomId, null, 100, "b");
        const messages = page.chunk.filter((event) => !("state_key" in event));
        assert.deepEqual(new Set(messages.map((event) => event.type)), new Set(["m.room.encrypted"]));
        assert.equal(messages.length, said.length);
        assert.ok(!/Swordfish|password/.test(JSON.stringify(page)));
    });
    return said;
}

async function shareAFile(roomId, alice, bob) {
    const plain = Buffer.from("A map of the island. ".repeat(5000));
    const eventId = await step("bob sends an encrypted file", () => bob.sendFile(roomId, "map.txt", plain));
    await step("alice fetches it and decrypts it", async () => {
        await eventually("the message about it", () => alice.shown(roomId, eventId).getContent().file);
        const fetched = await alice.fetchFile(roomId, eventId);
        assert.ok(fetched.plain.equals(plain));
        assert.ok(!fetched.kept.includes("island"), "the server has it readable");
    });
}

async function recoverOnANewDevice(server, roomId, { alice, bob, recoveryKey, said }) {
    console.log("A new device");
    await step("alice's phone has backed up the keys of both senders", () =>
        eventually("two keys", async () => (await alice.backedUp()) >= 2),
    );
    const laptop = await step("alice logs in on her laptop, which can read nothing yet", async () => {
        const laptop = await (await EncryptingDevice.logIn(server.url, "alice", PASSWORD, "laptop")).start();
        await eventually("what it cannot read", () => laptop.undecryptable(roomId).length === said.length + 1);
        return laptop;
    });
    await step("nobody vouches for it", async () => {
        await eventually("bob knows it", () => bob.crypto.getDeviceVerificationStatus(alice.userId, laptop.deviceId));
        assert.ok(!(await bob.trusts(alice.userId, laptop.deviceId)));
    });
    await step("a wrong recovery key opens nothing", async () => {
        const wrong = (await bob.crypto.createRecoveryKeyFromPassphrase()).encodedPrivateKey;
        await assert.rejects(laptop.recover(wrong));
        assert.equal(laptop.undecryptable(roomId).length, said.length + 1);
    });
    await step("she types in the recovery key, and the laptop reads everything", async () => {
        const { total, imported } = await laptop.recover(recoveryKey);
        assert.deepEqual({ total, imported }, { total: await laptop.backedUp(), imported: total });
        await shows(laptop, roomId, [...said, "map.txt"]);
    });
    await step("alice vouches for the laptop, as her phone and bob hear", async () => {
        for (const device of [laptop, alice, bob]) {
            await eventually(`${device} sees it`, () => device.trusts(alice.userId, laptop.deviceId));
        }
        assert.ok(await laptop.trusts(alice.userId, alice.deviceId));
    });
    await step("what is said from now on is for the laptop too", async () => {
        await bob.say(roomId, "Nice laptop");
        await shows(laptop, roomId, [...said, "map.txt", "Nice laptop"]);
    });
    return laptop;
}

async function trustAnotherDevice(server, roomId, { alice, bob }) {
    console.log("Another device, without the recovery key");
    const texts = alice.shownTexts(roomId);
    const tablet = await step("alice logs in on a tablet, which can read nothing yet", async () => {
        const tablet = await (await EncryptingDevice.logIn(server.url, "alice", PASSWORD, "tablet")).start();
        await eventually("what it cannot read", () => tablet.undecryptable(roomId).length === texts.length);
        return tablet;
    });
    await step("she compares emoji on her tablet and her phone", () => compareEmoji(tablet, alice));
    await step("bob hears that she vouches for the tablet", () =>
        eventually("bob sees it", () => bob.trusts(alice.userId, tablet.deviceId)),
    );
    await step("the phone tells the tablet the backup's secret, and the tablet reads everything", async () => {
        await eventually("the secret", () => tablet.crypto.getSessionBackupPrivateKey());
        await shows(tablet, roomId, texts);
    });
    return tablet;
}

async function goOnAfterACrash(server, roomId, people) {
    console.log("The server crashes");
    await server.killAndRestart();
    const devices = Object.values(people);
    const everybodyReads = async (text) => {
        for (const device of devices) {
            await eventually(`${device} reads it`, () => matches(device.shownTexts(roomId).at(-1), text));
        }
    };
    for (const [name, device] of Object.entries(people)) {
        await step(`${name} speaks, and all others read it`, async () => {
            await device.say(roomId, `Still here, ${name}`);
            await everybodyReads(`Still here, ${name}`);
        });
    }
    await step("bob makes new keys, which reach everybody after one more crash", async () => {
        await people.bob.crypto.forceDiscardSession(roomId);
        await server.killAndRestart();
        await people.bob.say(roomId, "New keys");
        await everybodyReads("New keys");
    });
}
