// The server is killed, between messages and in the middle of one, and nothing is lost.

import assert from "node:assert/strict";

import { newestMessage, shownBy, unreadOn } from "./support/expectations.mjs";
import { eventually, step } from "./support/story.mjs";

/** How many messages alice has not read when the server crashes. */
const UNREAD = 31;

/** The server is killed while nobody does anything. */
export async function killTheServer(server, people) {
    console.log("The server crashes");
    const left = await leaveThingsUnread(people);
    const remembered = await step("everybody looks at everything once more", async () => {
        const seen = await whatTheySee(people);
        const { rooms, statusMessages } = seen[people.alice.phone];
        assert.equal(rooms[left.roomId].texts.length, UNREAD);
        assert.deepEqual(rooms[left.roomId].unread, { count: UNREAD, highlights: 1 });
        assert.ok(statusMessages[people.carol.userId]);
        return seen;
    });
    await step("the server is killed and started again on the same data", () => server.killAndRestart());
    await nothingIsLost(people, left, remembered);
}

/** The server is killed while it has messages to write. */
export async function talkThroughACrash(server, people) {
    console.log("The server crashes while bob talks");
    const { alice, bob } = people;
    const texts = Array.from({ length: 200 }, (_, index) => `Sentence ${index + 1}`);
    const { room_id: roomId } = await alice.phone.client.createRoom({ preset: "private_chat", invite: [bob.userId] });
    await bob.client.joinRoom(roomId);
    await eventually("bob's app shows the room", () => bob.membership(roomId) === "join");
    await step("the server is killed in the middle, and started again", async () => {
        const sending = Promise.allSettled(texts.map((text) => bob.say(roomId, text)));
        await eventually("alice reads some", () => alice.phone.shownTexts(roomId).includes(texts[4]));
        await server.killAndRestart();
        await sending;
        await everybodyIsBack(people);
    });
    await step("bob sends again what his app could not send, and which may have arrived or not", async () => {
        const unsent = bob.unsent(roomId);
        assert(unsent.length > 0, "everything was sent before the server was killed");
        for (const event of unsent) {
            await bob.client.resendEvent(event, bob.room(roomId));
        }
    });
    await step("all of them are there once and in order, in apps that were open and in new ones", async () => {
        const last = await bob.say(roomId, "That was all");
        const app = await alice.laptop.reopened().start();
        for (const device of [alice.phone, bob, app]) {
            await shownBy([device], roomId, last);
            assert.deepEqual(await device.scrolledTexts(roomId), [...texts, "That was all"], `${device}`);
        }
        app.close();
    });
}

/** Makes a room in which there is something to lose. */
async function leaveThingsUnread({ alice, bob, carol }) {
    return await step("some messages are still unread", async () => {
        const invite = [bob.userId, carol.userId];
        const { room_id: roomId } = await alice.phone.client.createRoom({ preset: "private_chat", invite });
        await bob.client.joinRoom(roomId);
        await carol.client.joinRoom(roomId);
        // More than an app shows at first.
        for (let number = 1; number < UNREAD; number++) {
            await carol.say(roomId, `Message ${number}`);
        }
        const transaction = "sent-just-before-the-crash";
        const content = { msgtype: "m.text", body: "Alice?", "m.mentions": { user_ids: [alice.phone.userId] } };
        const { event_id: eventId } = await bob.client.sendEvent(roomId, "m.room.message", content, transaction);
        await shownBy([alice.phone, alice.laptop, carol], roomId, eventId);
        await unreadOn([alice.phone, alice.laptop], roomId, { count: UNREAD, highlights: 1 });
        return { roomId, eventId, content, transaction };
    });
}

async function nothingIsLost(people, { roomId, eventId, content, transaction }, remembered) {
    const { alice, bob, carol } = people;
    await step("apps that are opened now show everything as it was", async () => {
        assert.deepEqual(await whatTheySee(people), remembered);
    });
    await step("apps that were open all the time find the server again", () => everybodyIsBack(people));
    await step("a message that was confirmed before the crash is not sent twice", async () => {
        const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${transaction}`;
        const repeated = await bob.client.http.authedRequest("PUT", path, undefined, content);
        assert.equal(repeated.event_id, eventId);
    });
    await step("they miss nothing and see nothing twice", async () => {
        await shownBy([alice.phone, alice.laptop, carol], roomId, await bob.say(roomId, "Still there?"));
        const newest = [`Message ${UNREAD - 1}`, "Alice?", "Still there?"];
        for (const device of [alice.phone, alice.laptop, carol]) {
            assert.deepEqual(device.shownTexts(roomId).slice(-3), newest, `${device}`);
        }
    });
    await step("alice reads, and both badges clear", async () => {
        await unreadOn([alice.phone, alice.laptop], roomId, { count: UNREAD + 1, highlights: 1 });
        await alice.laptop.read(roomId, await newestMessage(alice.laptop, roomId));
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 0, highlights: 0 });
    });
}

async function everybodyIsBack(people) {
    for (const device of devicesOf(people)) {
        await eventually(`${device} syncs`, () => device.client.retryImmediately() || device.isSyncing);
    }
}

/** What each device shows when its app is opened afresh: rooms, names, members, history, badges, status messages. */
async function whatTheySee(people) {
    const seen = {};
    for (const device of devicesOf(people)) {
        const app = await device.reopened().start();
        seen[device] = { rooms: {}, statusMessages: {}, direct: app.client.getAccountData("m.direct")?.getContent() };
        for (const room of app.client.getRooms()) {
            seen[device].rooms[room.roomId] = {
                name: room.name,
                membership: room.getMyMembership(),
                unread: app.unread(room.roomId),
                fullyRead: room.getAccountData("m.fully_read")?.getContent().event_id,
                members: await app.members(room.roomId),
                texts: await app.scrolledTexts(room.roomId),
                history: await app.history(room.roomId),
            };
        }
        for (const { userId, presenceStatusMsg } of app.client.getUsers()) {
            seen[device].statusMessages[userId] = presenceStatusMsg;
        }
        app.close();
    }
    return seen;
}

function devicesOf({ alice, bob, carol, stranger }) {
    return [alice.phone, alice.laptop, bob, carol, stranger];
}
