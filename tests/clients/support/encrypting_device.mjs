// A device that encrypts: the same SDK with its cryptography, whose keys live as long as the story.

import assert from "node:assert/strict";

import { EventType, Method } from "matrix-js-sdk";
import { decodeRecoveryKey } from "matrix-js-sdk/lib/crypto-api/index.js";

import { decrypted, encrypted } from "./attachment.mjs";
import { Device } from "./device.mjs";
import { PASSWORD } from "./play.mjs";

export class EncryptingDevice extends Device {
    /** What opens the user's secrets on the server, once the device made it or the user typed it in. */
    #storageKey;

    options() {
        return {
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) => this.#storageKey && [Object.keys(keys)[0], this.#storageKey],
                cacheSecretStorageKey: (_id, _description, key) => (this.#storageKey = key),
            },
        };
    }

    async start() {
        await this.client.initRustCrypto({ useIndexedDB: false });
        return await super.start();
    }

    get crypto() {
        return this.client.getCrypto();
    }

    get deviceId() {
        return this.session.device_id;
    }

    /** Sets everything up as an app does at the first login, and gives the recovery key to write down. */
    async setUpEncryption() {
        await this.crypto.bootstrapCrossSigning({
            setupNewCrossSigning: true,
            authUploadDeviceSigningKeys: (upload) => this.#withPassword(upload),
        });
        const recoveryKey = await this.crypto.createRecoveryKeyFromPassphrase();
        await this.crypto.bootstrapSecretStorage({
            createSecretStorageKey: async () => recoveryKey,
            setupNewSecretStorage: true,
            setupNewKeyBackup: true,
        });
        await this.crypto.checkKeyBackupAndEnable();
        return recoveryKey.encodedPrivateKey;
    }

    /** The user types in the recovery key: the device becomes one of theirs and gets the keys that the others backed up. */
    async recover(recoveryKey) {
        this.#storageKey = decodeRecoveryKey(recoveryKey);
        await this.crypto.bootstrapCrossSigning({});
        await this.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
        await this.crypto.checkKeyBackupAndEnable();
        return await this.crypto.restoreKeyBackup();
    }

    /** How many keys there are in the backup, which the SDK itself asks once. */
    async backedUp() {
        return (await this.client.http.authedRequest(Method.Get, "/room_keys/version")).count;
    }

    /** Whether this device takes another one, of whomever, for one that its owner vouches for. */
    async trusts(userId, deviceId) {
        const status = await this.crypto.getDeviceVerificationStatus(userId, deviceId);
        return status?.signedByOwner ?? false;
    }

    /** The messages that the app cannot show, for want of their keys. */
    undecryptable(roomId) {
        return this.room(roomId).getLiveTimeline().getEvents().filter((event) => event.isDecryptionFailure());
    }

    async sendFile(roomId, name, plain) {
        const { bytes, file } = await encrypted(plain);
        const { content_uri: url } = await this.client.uploadContent(bytes, { type: "application/octet-stream" });
        const content = { msgtype: "m.file", body: name, file: { ...file, url } };
        return (await this.client.sendEvent(roomId, EventType.RoomMessage, content)).event_id;
    }

    /** The file of an event as the server keeps it, and as it is. */
    async fetchFile(roomId, eventId) {
        const { file } = this.shown(roomId, eventId).getContent();
        const address = this.client.mxcUrlToHttp(file.url, undefined, undefined, undefined, false, true, true);
        const response = await fetch(address, { headers: { Authorization: `Bearer ${this.session.access_token}` } });
        assert.equal(response.status, 200);
        const kept = Buffer.from(await response.arrayBuffer());
        return { kept, plain: await decrypted(kept, file) };
    }

    /** Proves with the password that it is really the user who does this, if the server asks. */
    async #withPassword(request) {
        try {
            return await request(null);
        } catch (error) {
            if (!error.data?.flows) {
                throw error;
            }
            const identifier = { type: "m.id.user", user: this.userId };
            return await request({
                type: "m.login.password",
                identifier,
                password: PASSWORD,
                session: error.data.session,
            });
        }
    }
}
