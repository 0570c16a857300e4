// A person with many rooms looks at a few of them, with the sliding sync of an unmodified matrix-js-sdk.
//
//   node sliding.mjs path/to/commonroom

import assert from "node:assert/strict";

import { Device } from "./support/device.mjs";
import { matches, shows, unreadOn } from "./support/expectations.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { SlidingDevice } from "./support/sliding_device.mjs";
import { eventually, step } from "./support/story.mjs";

await play(story, process.argv[2]);

async function story(server) {
    console.log("A few of many rooms");
    const bob = await step("bob registers", async () => {
        return await (await Device.register(server.url, "bob", PASSWORD, server.firstToken)).start();
    });
    const registered = await Device.register(server.url, "alice", PASSWORD, server.createToken(1));
    const rooms = await step("alice and bob share six rooms", () => makeRooms(bob, registered));
    const alice = new SlidingDevice(server.url, registered.session);
    await step("alice's phone shows the two newest and knows that there are six", async () => {
        await alice.start();
        await eventually("two rooms", () => matches(alice.knownRooms.sort(), [rooms[4], rooms[5]].sort()));
        assert.equal(alice.roomCount, 6);
        await shows(alice, rooms[5], ["message 9 in room 5"]);
        assert.equal(alice.room(rooms[5]).name, "room 5");
        assert.equal(alice.membership(rooms[5]), "join");
    });
    await step("a message lifts a room into sight", async () => {
        await bob.say(rooms[0], "up with it");
        await eventually("the room", () => alice.knownRooms.includes(rooms[0]));
        await shows(alice, rooms[0], ["up with it"]);
    });
    await step("a room that she opens shows what was said there", async () => {
        alice.open(rooms[5]);
        const said = Array.from({ length: 10 }, (_, number) => `message ${number} in room 5`);
        await shows(alice, rooms[5], said);
    });
    await meanwhile(alice, bob, rooms);
    await step("the server is killed; her phone hears that it is unknown, and goes on", async () => {
        await server.killAndRestart();
        await bob.say(rooms[5], "still there?");
        await eventually("the message", () => alice.shownTexts(rooms[5]).at(-1) === "still there?");
        assert.ok(alice.refusals.includes("M_UNKNOWN_POS"), `refused with ${alice.refusals}`);
        await alice.say(rooms[5], "yes");
        await eventually("the answer", () => bob.shownTexts(rooms[5]).at(-1) === "yes");
    });
}

async function makeRooms(bob, alice) {
    const rooms = [];
    for (let number = 0; number < 6; number++) {
        const { room_id } = await bob.client.createRoom({ preset: "public_chat", name: `room ${number}` });
        await alice.client.joinRoom(room_id);
        for (let count = 0; count < 10; count++) {
            await bob.say(room_id, `message ${count} in room ${number}`);
        }
        rooms.push(room_id);
    }
    return rooms;
}

async function meanwhile(alice, bob, rooms) {
    await step("she sees who types", async () => {
        await bob.client.sendTyping(rooms[5], true, 20_000);
        await eventually("bob typing", () => alice.isTyping(rooms[5], bob.userId));
    });
    await step("the badge counts, and goes when she has read", async () => {
        const { event_id } = await bob.client.sendEvent(rooms[5], "m.room.message", { msgtype: "m.text", body: "news" });
        await eventually("the message", () => alice.room(rooms[5]).findEventById(event_id));
        await alice.read(rooms[5], event_id);
        await unreadOn([alice], rooms[5], { count: 0, highlights: 0 });
        await eventually("bob knows", () => bob.readBy(rooms[5], alice.userId) === event_id);
    });
    await step("she scrolls down and sees all of her rooms", async () => {
        alice.look(20);
        await eventually("all rooms", () => matches(alice.knownRooms.sort(), [...rooms].sort()));
    });
    await step("an invitation appears, and she accepts it", async () => {
        const { room_id } = await bob.client.createRoom({ preset: "private_chat", name: "secret", invite: [alice.userId] });
        await eventually("the invitation", () => alice.membership(room_id) === "invite");
        assert.equal(alice.room(room_id).name, "secret");
        await alice.client.joinRoom(room_id);
        await eventually("the room", () => alice.membership(room_id) === "join");
        await bob.say(room_id, "welcome");
        await eventually("the message", () => alice.shownTexts(room_id).includes("welcome"));
    });
}
