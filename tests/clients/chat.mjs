// People chat on a fresh server with an unmodified matrix-js-sdk; the server is killed, and they go on where they were.
//
//   node chat.mjs path/to/commonroom

import assert from "node:assert/strict";
import { inspect } from "node:util";

import { ReceiptType } from "matrix-js-sdk";

import { Device, refusal } from "./support/device.mjs";
import { Server } from "./support/server.mjs";
import { eventually, step } from "./support/story.mjs";

const PASSWORD = "correct horse battery staple";

/** Every device that any step has opened. */
const opened = [];

const server = await Server.start(process.argv[2]);
const failure = await story().catch((error) => error);
if (failure) {
    tell(failure);
}
opened.forEach((device) => device.close());
await server.discard();
// The SDK's timers for requests that were given up would keep Node here for minutes.
process.exit(failure ? 1 : 0);

async function story() {
    const people = await makeAccounts();
    await chat(people, "before the crash");

    const left = await leaveThingsUnread(people);
    const remembered = await step("everybody looks at everything once more", () => whatTheySee(people));
    await step("the server is killed and started again on the same data", () => server.killAndRestart());
    await nothingIsLost(people, left, remembered);
    await chat(people, "after the crash");

    opened.forEach((device) => device.close());
    await step("the server stops in good order", () => server.stop());
    console.log("Everything works, also after the crash.");
}

async function makeAccounts() {
    console.log("Accounts");
    const phone = await step("alice registers on her phone", () => register("alice"));
    const bob = await step("bob registers", () => register("bob"));
    const carol = await step("carol registers", () => register("carol"));
    const stranger = await step("dave, who knows nobody, registers", () => register("dave"));

    await step("a name that is taken is refused", async () => {
        const error = await refusal(Device.register(server.url, "alice", PASSWORD));
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

/** Everything that people do in a chat app on an ordinary day; `when` tells its rooms and messages from another day's. */
async function chat(people, when) {
    await talkInPrivate(people, when);
    const team = await meetInAGroup(people, when);
    await seeEachOtherType(people, team);
    await countAndRead(people, team, when);
    await seeWhoIsThere(people, when);
    await leaveAndComeBack(people, team, when);
}

async function talkInPrivate({ alice, bob, stranger }, when) {
    console.log(`Two people talk, ${when}`);
    const roomId = await step("alice starts a direct chat with bob", async () => {
        const invite = [bob.userId];
        const room = await alice.phone.client.createRoom({ is_direct: true, preset: "trusted_private_chat", invite });
        await remember(alice.phone, bob.userId, room.room_id);
        return room.room_id;
    });
    await step("bob is invited to a direct chat by alice", async () => {
        await eventually("an invitation", () => bob.membership(roomId) === "invite");
        assert.equal(bob.room(roomId).getDMInviter(), alice.phone.userId);
    });
    await step("bob joins, and alice sees it", async () => {
        await bob.client.joinRoom(roomId);
        await remember(bob, alice.phone.userId, roomId);
        await eventually("bob joined", () => alice.laptop.room(roomId).getMember(bob.userId)?.membership === "join");
    });
    await step("the room is named after the other person", async () => {
        await eventually("alice's view", () => alice.phone.room(roomId).name === "bob");
        await eventually("bob's view", () => bob.room(roomId).name === "Alice");
    });
    await step("alice's laptop knows that the chat is a direct one", () =>
        eventually("m.direct", () =>
            alice.laptop.client.getAccountData("m.direct")?.getContent()[bob.userId]?.includes(roomId),
        ),
    );
    const said = [`Hello bob, ${when}`, `Hello Alice, ${when}`];
    await step("each says something, and all three devices show it in order", async () => {
        await alice.phone.say(roomId, said[0]);
        await shows(bob, roomId, said.slice(0, 1));
        await bob.say(roomId, said[1]);
        for (const device of [alice.phone, alice.laptop, bob]) {
            await shows(device, roomId, said);
        }
    });
    await step("alice takes a message back, and it is gone for everybody", async () => {
        const eventId = await alice.phone.say(roomId, "a slip");
        await eventually("bob shows it", () => bob.shown(roomId, eventId));
        await alice.phone.client.redactEvent(roomId, eventId);
        await eventually("bob shows that it is gone", () => bob.shown(roomId, eventId).isRedacted());
        assert.deepEqual((await bob.client.fetchRoomEvent(roomId, eventId)).content, {});
    });
    await step("alice reads in private: her own badge clears, and bob is not told", async () => {
        const last = await bob.say(roomId, `Are you there? ${when}`);
        await shownBy([alice.phone, alice.laptop], roomId, last);
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 1, highlights: 0 });
        await alice.phone.read(roomId, last, ReceiptType.ReadPrivate);
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 0, highlights: 0 });
        // Whatever is said after the receipt comes after it.
        await shownBy([bob], roomId, await alice.phone.say(roomId, "I am"));
        assert.notEqual(bob.readBy(roomId, alice.phone.userId), last);
    });
    await step("dave neither gets in nor reads along", async () => {
        assert.equal((await refusal(stranger.client.joinRoom(roomId))).errcode, "M_FORBIDDEN");
        assert.equal((await refusal(stranger.history(roomId))).errcode, "M_FORBIDDEN");
    });
}

async function meetInAGroup({ alice, bob, carol }, when) {
    console.log(`A group meets, ${when}`);
    const name = `Team ${when}`;
    const roomId = await step("alice makes a room and invites bob and carol", async () => {
        const invite = [bob.userId, carol.userId];
        return (await alice.phone.client.createRoom({ name, preset: "private_chat", invite })).room_id;
    });
    await step("both are told its name and who invites them", async () => {
        for (const device of [bob, carol]) {
            await eventually(`${device} is invited`, () => device.membership(roomId) === "invite");
            assert.equal(device.room(roomId).name, name);
            assert.equal(device.room(roomId).getDMInviter(), undefined);
        }
    });
    const before = await step("bob joins and talks with alice, before carol", async () => {
        await bob.client.joinRoom(roomId);
        const before = await bob.say(roomId, `Nobody else hears this, ${when}`);
        await shownBy([alice.phone, alice.laptop], roomId, before);
        return before;
    });
    await step("someone who is only invited cannot read", async () => {
        assert.equal((await refusal(carol.history(roomId))).errcode, "M_FORBIDDEN");
        assert.equal((await refusal(carol.client.fetchRoomEvent(roomId, before))).errcode, "M_NOT_FOUND");
    });
    await step("carol joins, and everybody sees her", async () => {
        await carol.client.joinRoom(roomId);
        for (const device of [alice.phone, alice.laptop, bob, carol]) {
            await eventually(`three members on ${device}`, () => device.room(roomId).getJoinedMemberCount() === 3);
            const members = await device.members(roomId);
            assert.deepEqual(Object.values(members), ["join", "join", "join"], `${device} sees ${inspect(members)}`);
        }
    });
    await step("carol reads what is said from now on, and nothing from before", async () => {
        const after = await alice.laptop.say(roomId, `Welcome carol, ${when}`);
        await shownBy([alice.phone, bob, carol], roomId, after);
        assert.deepEqual(await carol.scrolledTexts(roomId), [`Welcome carol, ${when}`]);
        const history = await carol.history(roomId);
        assert(history.includes(after) && !history.includes(before), `carol's history: ${inspect(history)}`);
        assert.equal((await refusal(carol.client.fetchRoomEvent(roomId, before))).errcode, "M_NOT_FOUND");
    });
    return roomId;
}

async function seeEachOtherType({ alice, bob, carol }, roomId) {
    const others = [alice.phone, alice.laptop, carol];
    await step("the others see that bob types, and that he stops", async () => {
        for (const types of [true, false]) {
            await bob.client.sendTyping(roomId, types, 30_000);
            for (const device of others) {
                const seen = () => device.isTyping(roomId, bob.userId) === types;
                await eventually(`bob ${types ? "types" : "stops"} on ${device}`, seen);
            }
        }
    });
}

async function countAndRead({ alice, bob, carol }, roomId, when) {
    console.log(`Unread messages are counted, ${when}`);
    const both = [alice.phone, alice.laptop];
    await step("alice reads everything so far", async () => {
        await alice.phone.read(roomId, await newestMessage(alice.phone, roomId));
        await unreadOn(both, roomId, { count: 0, highlights: 0 });
    });
    const last = await step("three messages, one of which names alice, count on both of her devices", async () => {
        await bob.say(roomId, "One");
        await bob.say(roomId, "Two, Alice!", { "m.mentions": { user_ids: [alice.phone.userId] } });
        const last = await carol.say(roomId, "Three");
        await shownBy(both, roomId, last);
        await unreadOn(both, roomId, { count: 3, highlights: 1 });
        return last;
    });
    await step("alice reads them on her phone, and both badges clear", async () => {
        await alice.phone.read(roomId, last);
        await unreadOn(both, roomId, { count: 0, highlights: 0 });
    });
    await step("bob and carol see how far alice has read", async () => {
        for (const device of [bob, carol]) {
            await eventually(`the receipt on ${device}`, () => device.readBy(roomId, alice.phone.userId) === last);
        }
    });
    await step("alice's own message does not count for her, and counts for bob", async () => {
        const before = bob.unread(roomId).count;
        const own = await alice.laptop.say(roomId, "Four");
        await shownBy([...both, bob], roomId, own);
        await unreadOn(both, roomId, { count: 0, highlights: 0 });
        await eventually("bob's badge", () => bob.unread(roomId).count === before + 1);
    });
    await step("the place where alice stopped reading moves on both devices", async () => {
        const newest = await newestMessage(alice.laptop, roomId);
        await alice.laptop.client.setRoomReadMarkers(roomId, newest, alice.laptop.shown(roomId, newest));
        for (const device of both) {
            const marker = () => device.room(roomId).getAccountData("m.fully_read")?.getContent().event_id;
            await eventually(`the marker on ${device}`, () => marker() === newest);
        }
    });
}

async function seeWhoIsThere({ alice, bob, carol, stranger }, when) {
    console.log(`People see who is there, ${when}`);
    await step("carol is away with a message, and those who share a room with her see it", async () => {
        await carol.setPresence("unavailable", `At lunch, ${when}`);
        const expected = { presence: "unavailable", message: `At lunch, ${when}` };
        for (const device of [alice.phone, alice.laptop, bob]) {
            await eventually(`carol's presence on ${device}`, () => matches(device.presenceOf(carol.userId), expected));
        }
    });
    await step("dave shares no room with her and does not", async () => {
        assert.equal((await refusal(stranger.client.getPresence(carol.userId))).errcode, "M_FORBIDDEN");
        assert.deepEqual(stranger.presenceOf(carol.userId), { presence: undefined, message: undefined });
    });
    await step("carol comes back with another message", async () => {
        await carol.setPresence("online", `Back, ${when}`);
        const expected = { presence: "online", message: `Back, ${when}` };
        await eventually("bob sees it", () => matches(bob.presenceOf(carol.userId), expected));
        const { presence, status_msg: message } = await bob.client.getPresence(carol.userId);
        assert.deepEqual({ presence, message }, expected);
    });
}

async function leaveAndComeBack({ alice, bob, carol }, roomId, when) {
    console.log(`Somebody leaves and comes back, ${when}`);
    await step("carol leaves, and everybody sees it", async () => {
        await carol.client.leave(roomId);
        await eventually("carol sees it", () => carol.membership(roomId) === "leave");
        for (const device of [alice.phone, alice.laptop, bob]) {
            await eventually(`two members on ${device}`, () => device.room(roomId).getJoinedMemberCount() === 2);
        }
    });
    const missed = await step("what is said then does not reach her", async () => {
        const missed = await bob.say(roomId, `She is gone, ${when}`);
        await shownBy([alice.phone, alice.laptop], roomId, missed);
        assert.equal((await refusal(carol.client.fetchRoomEvent(roomId, missed))).errcode, "M_NOT_FOUND");
        assert(!(await carol.history(roomId)).includes(missed));
        return missed;
    });
    await step("she cannot come back uninvited", async () => {
        assert.equal((await refusal(carol.client.joinRoom(roomId))).errcode, "M_FORBIDDEN");
    });
    await step("alice invites her again, and she joins", async () => {
        await alice.phone.client.invite(roomId, carol.userId);
        await eventually("carol is invited", () => carol.membership(roomId) === "invite");
        await carol.client.joinRoom(roomId);
        await eventually("carol joined", () => carol.membership(roomId) === "join");
    });
    await step("she reads what was said while she was there, and not what she missed", async () => {
        const again = await bob.say(roomId, `She is back, ${when}`);
        await shownBy([carol, alice.phone], roomId, again);
        const app = await carol.reopened().start();
        opened.push(app);
        const texts = await app.scrolledTexts(roomId);
        app.close();
        assert.deepEqual(texts, [`Welcome carol, ${when}`, "One", "Two, Alice!", "Three", "Four", `She is back, ${when}`]);
        assert(!(await carol.history(roomId)).includes(missed));
    });
}

/** Makes a room in which there is something to lose. */
async function leaveThingsUnread({ alice, bob, carol }) {
    console.log("The server crashes");
    return await step("some messages are still unread", async () => {
        const invite = [bob.userId, carol.userId];
        const { room_id: roomId } = await alice.phone.client.createRoom({ preset: "private_chat", invite });
        await bob.client.joinRoom(roomId);
        await carol.client.joinRoom(roomId);
        // More than an app shows at first.
        for (let number = 1; number <= 30; number++) {
            await carol.say(roomId, `Message ${number}`);
        }
        const transaction = "sent-just-before-the-crash";
        const content = { msgtype: "m.text", body: "Alice?", "m.mentions": { user_ids: [alice.phone.userId] } };
        const { event_id: eventId } = await bob.client.sendEvent(roomId, "m.room.message", content, transaction);
        await shownBy([alice.phone, alice.laptop, carol], roomId, eventId);
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 31, highlights: 1 });
        return { roomId, eventId, content, transaction };
    });
}

async function nothingIsLost(people, { roomId, eventId, content, transaction }, remembered) {
    const { alice, bob, carol } = people;
    await step("apps that are opened now show everything as it was", async () => {
        assert.deepEqual(await whatTheySee(people), remembered);
    });
    await step("apps that were open all the time find the server again", async () => {
        for (const device of devicesOf(people)) {
            await eventually(`${device} syncs`, () => device.client.retryImmediately() || device.isSyncing);
        }
    });
    await step("a message that was confirmed before the crash is not sent twice", async () => {
        const path = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${transaction}`;
        const repeated = await bob.client.http.authedRequest("PUT", path, undefined, content);
        assert.equal(repeated.event_id, eventId);
    });
    await step("they miss nothing and see nothing twice", async () => {
        await shownBy([alice.phone, alice.laptop, carol], roomId, await bob.say(roomId, "Still there?"));
        for (const device of [alice.phone, alice.laptop, carol]) {
            assert.deepEqual(device.shownTexts(roomId).slice(-3), ["Message 30", "Alice?", "Still there?"], `${device}`);
        }
    });
    await step("alice reads, and both badges clear", async () => {
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 32, highlights: 1 });
        await alice.laptop.read(roomId, await newestMessage(alice.laptop, roomId));
        await unreadOn([alice.phone, alice.laptop], roomId, { count: 0, highlights: 0 });
    });
}

/** What each device shows when its app is opened afresh: rooms, names, members, history, badges, status messages. */
async function whatTheySee(people) {
    const seen = {};
    for (const device of devicesOf(people)) {
        const app = await device.reopened().start();
        opened.push(app);
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

async function register(username) {
    return await open(await Device.register(server.url, username, PASSWORD));
}

async function logIn(username, deviceName) {
    return await open(await Device.logIn(server.url, username, PASSWORD, deviceName));
}

async function open(device) {
    opened.push(device);
    return await device.start();
}

/** Notes, as chat apps do, that a room is the direct chat with somebody. */
async function remember(device, userId, roomId) {
    const direct = device.client.getAccountData("m.direct")?.getContent() ?? {};
    await device.client.setAccountData("m.direct", { ...direct, [userId]: [...(direct[userId] ?? []), roomId] });
}

async function newestMessage(device, roomId) {
    const shown = device.room(roomId).getLiveTimeline().getEvents();
    return shown.findLast((event) => event.getType() === "m.room.message").getId();
}

async function shownBy(devices, roomId, eventId) {
    for (const device of devices) {
        await eventually(`${device} shows the message`, () => device.shown(roomId, eventId));
    }
}

async function shows(device, roomId, texts) {
    await eventually(`${device} shows ${inspect(texts)}`, () => matches(device.shownTexts(roomId), texts));
}

async function unreadOn(devices, roomId, expected) {
    for (const device of devices) {
        await eventually(`the badge on ${device}`, () => matches(device.unread(roomId), expected));
    }
}

function matches(actual, expected) {
    assert.deepEqual(actual, expected);
    return true;
}

function tell(error) {
    console.error("\nThe story ends early:");
    for (let cause = error; cause; cause = cause.cause) {
        console.error(`- ${cause.stack ?? cause}`);
    }
    for (const device of opened.filter(({ complaints }) => complaints.length > 0)) {
        console.error(`\n${device} complained:\n${device.complaints.slice(-10).join("\n")}`);
    }
    console.error(`\nThe server's last log lines:\n${server.logTail}`);
}
