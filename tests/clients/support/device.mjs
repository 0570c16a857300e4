// A person's device: an unmodified matrix-js-sdk, used the way a chat app uses it.

import "./node20.mjs";

import {
    createClient,
    Direction,
    EventStatus,
    EventType,
    PendingEventOrdering,
    ReceiptType,
    SyncState,
} from "matrix-js-sdk";
import { logger as sharedLogger } from "matrix-js-sdk/lib/logger.js";

import { eventually } from "./story.mjs";

/** As many messages as a chat app shows at first; what is older it asks for. */
const INITIAL_SYNC_LIMIT = 20;
const PAGE = 30;

// What parts of the SDK say to no client's logger in particular would hide the steps.
sharedLogger.methodFactory = () => () => {};
sharedLogger.rebuild();

/** Every device there was. */
export const devices = [];

export class Device {
    /** What a chat app keeps on disk: `user_id`, `device_id` and `access_token`. */
    session;
    client;
    /** What the SDK found fault with; shown when a story fails. */
    complaints = [];

    #url;

    constructor(url, session) {
        this.#url = url;
        this.session = session;
        this.client = createClient({
            baseUrl: url,
            accessToken: session.access_token,
            userId: session.user_id,
            deviceId: session.device_id,
            logger: collecting(this.complaints),
            ...this.options(),
        });
        devices.push(this);
    }

    /** What this kind of device tells the SDK besides. */
    options() {
        return {};
    }

    /** Makes an account, going through the steps that the server asks for. */
    static async register(url, username, password, token) {
        const stranger = createClient({ baseUrl: url, logger: collecting([]) });
        const request = { username, password, initial_device_display_name: `${username}'s phone` };
        const steps = await refusal(stranger.registerRequest(request));
        const auth = { type: "m.login.registration_token", token, session: steps.data.session };
        return new this(url, await stranger.registerRequest({ ...request, auth }));
    }

    /** Logs in with the password, on a new device. */
    static async logIn(url, username, password, deviceName) {
        const session = await createClient({ baseUrl: url, logger: collecting([]) }).loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: username },
            password,
            initial_device_display_name: deviceName,
        });
        return new this(url, session);
    }

    /** The same device after its app was closed: nothing is left but the session, and everything is asked for again. */
    reopened() {
        return new this.constructor(this.#url, this.session);
    }

    get userId() {
        return this.session.user_id;
    }

    /** Starts to sync, and waits until the app could show its rooms. */
    async start() {
        await this.client.startClient({
            initialSyncLimit: INITIAL_SYNC_LIMIT,
            lazyLoadMembers: true,
            pendingEventOrdering: PendingEventOrdering.Detached,
            threadSupport: true,
        });
        await eventually(`${this} syncs`, () => this.isSyncing);
        return this;
    }

    get isSyncing() {
        return [SyncState.Prepared, SyncState.Syncing].includes(this.client.getSyncState());
    }

    close() {
        this.client.stopClient();
    }

    room(roomId) {
        const room = this.client.getRoom(roomId);
        if (!room) {
            throw new Error(`${this} does not know the room ${roomId}`);
        }
        return room;
    }

    membership(roomId) {
        return this.client.getRoom(roomId)?.getMyMembership();
    }

    /** The memberships of everybody who is or was in the room; the app asks for those it does not know yet. */
    async members(roomId) {
        const room = this.room(roomId);
        await room.loadMembersIfNeeded();
        return Object.fromEntries(room.getMembers().map(({ userId, membership }) => [userId, membership]));
    }

    /** Says something and gives the event's id. */
    async say(roomId, body, more = {}) {
        const content = { msgtype: "m.text", body, ...more };
        return (await this.client.sendEvent(roomId, EventType.RoomMessage, content)).event_id;
    }

    /** The messages that the app shows without asking for older ones, oldest first. */
    shownTexts(roomId) {
        return texts(this.room(roomId).getLiveTimeline().getEvents());
    }

    /** An event that the app shows. */
    shown(roomId, eventId) {
        const event = this.room(roomId).findEventById(eventId);
        if (!event) {
            throw new Error(`${this} does not show ${eventId}; it shows ${this.shownTexts(roomId).join(" · ")}`);
        }
        return event;
    }

    /** The messages that the app tried in vain to send. */
    unsent(roomId) {
        return this.room(roomId).getPendingEvents().filter((event) => event.status === EventStatus.NOT_SENT);
    }

    /** All messages that the app shows after the user has scrolled up as far as it goes, oldest first. */
    async scrolledTexts(roomId) {
        const timeline = this.room(roomId).getLiveTimeline();
        while (await this.client.paginateEventTimeline(timeline, { backwards: true, limit: PAGE })) {
            // There may be more.
        }
        return texts(timeline.getEvents());
    }

    /** The ids of all events of the room that the server shows to this user, oldest first. */
    async history(roomId) {
        const ids = [];
        let from = null;
        do {
            const page = await this.client.createMessagesRequest(roomId, from, PAGE, Direction.Backward);
            ids.push(...page.chunk.map((event) => event.event_id));
            from = page.end;
        } while (from);
        return ids.reverse();
    }

    /** The numbers on the room's badge. */
    unread(roomId) {
        const room = this.room(roomId);
        const [count, highlights] = ["total", "highlight"].map((kind) => room.getRoomUnreadNotificationCount(kind));
        return { count, highlights };
    }

    async read(roomId, eventId, kind = ReceiptType.Read) {
        await this.client.sendReadReceipt(this.shown(roomId, eventId), kind);
    }

    /** The event up to which somebody has read, as far as this device has been told. */
    readBy(roomId, userId) {
        return this.room(roomId).getReadReceiptForUserId(userId, true)?.eventId;
    }

    isTyping(roomId, userId) {
        return this.room(roomId).getMember(userId)?.typing ?? false;
    }

    /** Says it as a chat app does: at once, and with each sync from now on. */
    async setPresence(presence, message) {
        await this.client.setSyncPresence(presence);
        await this.client.setPresence({ presence, status_msg: message });
    }

    /** What this device has been told about somebody's presence. */
    presenceOf(userId) {
        const user = this.client.getUser(userId);
        return { presence: user?.presence, message: user?.presenceStatusMsg };
    }

    toString() {
        return `${this.userId} (${this.session.device_id})`;
    }
}

/** The error with which the server refuses; anything else is a failure. */
export async function refusal(request) {
    let answer;
    try {
        answer = await request;
    } catch (error) {
        if (error.errcode || error.data?.flows) {
            return error;
        }
        throw error;
    }
    throw new Error(`the server should have refused, but it answered ${JSON.stringify(answer)}`);
}

function texts(events) {
    return events.filter((event) => event.getType() === EventType.RoomMessage).map((event) => event.getContent().body);
}

/** A logger for the SDK that keeps what matters to itself. */
function collecting(complaints) {
    const keep = (...parts) => complaints.push(parts.map(String).join(" "));
    const drop = () => {};
    const logger = { trace: drop, debug: drop, info: drop, warn: keep, error: keep, getChild: () => logger };
    return logger;
}
