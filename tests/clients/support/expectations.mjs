// What devices are expected to show, each waited for.

import assert from "node:assert/strict";
import { inspect } from "node:util";

import { eventually } from "./story.mjs";

export async function newestMessage(device, roomId) {
    const shown = device.room(roomId).getLiveTimeline().getEvents();
    return shown.findLast((event) => event.getType() === "m.room.message").getId();
}

export async function shownBy(devices, roomId, eventId) {
    for (const device of devices) {
        await eventually(`${device} shows the message`, () => device.shown(roomId, eventId));
    }
}

export async function shows(device, roomId, texts) {
    await eventually(`${device} shows ${inspect(texts)}`, () => matches(device.shownTexts(roomId), texts));
}

export async function unreadOn(devices, roomId, expected) {
    for (const device of devices) {
        await eventually(`the badge on ${device}`, () => matches(device.unread(roomId), expected));
    }
}

export function matches(actual, expected) {
    assert.deepEqual(actual, expected);
    return true;
}
