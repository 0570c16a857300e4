// What people do in a chat app on an ordinary day.

import assert from "node:assert/strict";
import { inspect } from "node:util";

import { ReceiptType } from "matrix-js-sdk";

import { refusal } from "./support/device.mjs";
import { matches, newestMessage, shownBy, shows, unreadOn } from "./support/expectations.mjs";
import { eventually, step } from "./support/story.mjs";

/** All of it; `when` tells the rooms and messages of one day from those of another. */
export async function chat(people, when) {
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
        const texts = await app.scrolledTexts(roomId);
        app.close();
        const heard = [`Welcome carol, ${when}`, "One", "Two, Alice!", "Three", "Four", `She is back, ${when}`];
        assert.deepEqual(texts, heard);
        assert(!(await carol.history(roomId)).includes(missed));
    });
}

/** Notes, as chat apps do, that a room is the direct chat with somebody. */
async function remember(device, userId, roomId) {
    const direct = device.client.getAccountData("m.direct")?.getContent() ?? {};
    await device.client.setAccountData("m.direct", { ...direct, [userId]: [...(direct[userId] ?? []), roomId] });
}
