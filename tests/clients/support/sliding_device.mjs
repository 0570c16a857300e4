// A device that looks at a few of its rooms: the same SDK with its sliding sync.

import { PendingEventOrdering } from "matrix-js-sdk";
import { SlidingSync, SlidingSyncEvent, SlidingSyncState } from "matrix-js-sdk/lib/sliding-sync.js";

import { Device } from "./device.mjs";
import { eventually } from "./story.mjs";

const LIST = "rooms";
const LONG_POLL_MS = 5_000;
const REQUIRED_STATE = [
    ["m.room.create", ""],
    ["m.room.name", ""],
    ["m.room.topic", ""],
    ["m.room.member", "$ME"],
    ["m.room.member", "$LAZY"],
];

export class SlidingDevice extends Device {
    /** The errcodes with which the server refused a sync. */
    refusals = [];
    slidingSync;

    /** Starts to sync the newest `count` rooms. */
    async start(count = 2) {
        const list = { ranges: [[0, count - 1]], required_state: REQUIRED_STATE, timeline_limit: 1 };
        const subscription = { required_state: [["*", "*"]], timeline_limit: 20 };
        const { baseUrl } = this.client;
        this.slidingSync = new SlidingSync(baseUrl, new Map([[LIST, list]]), subscription, this.client, LONG_POLL_MS);
        this.slidingSync.on(SlidingSyncEvent.Lifecycle, (state, _answer, error) => {
            if (state === SlidingSyncState.RequestFinished && error?.errcode) {
                this.refusals.push(error.errcode);
            }
        });
        await this.client.startClient({
            slidingSync: this.slidingSync,
            pendingEventOrdering: PendingEventOrdering.Detached,
            threadSupport: true,
        });
        await eventually(`${this} syncs`, () => this.isSyncing);
        return this;
    }

    close() {
        this.slidingSync?.stop();
        super.close();
    }

    /** How many rooms there are, also those that it does not look at. */
    get roomCount() {
        return this.slidingSync.getListData(LIST)?.joinedCount;
    }

    /** Looks at the newest `count` rooms from now on. */
    look(count) {
        this.slidingSync.setListRanges(LIST, [[0, count - 1]]);
    }

    /** Opens a room, which shows more of it. */
    open(roomId) {
        this.slidingSync.modifyRoomSubscriptions(new Set([roomId]));
    }

    get knownRooms() {
        return this.client.getRooms().map(({ roomId }) => roomId);
    }
}
