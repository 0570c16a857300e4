// Files as clients encrypt them for a room: AES-CTR with a key that travels in the event ("Sending encrypted attachments").

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";

const { subtle } = webcrypto;
const ALGORITHM = { name: "AES-CTR", length: 256 };

/** Half of the counter block is random, the other half counts; so no two blocks of a file share one. */
const RANDOM_BYTES = 8;

/** The ciphertext, and what an event says about it apart from where it is. */
export async function encrypted(plain) {
    const iv = new Uint8Array(16);
    webcrypto.getRandomValues(iv.subarray(0, RANDOM_BYTES));
    const key = await subtle.generateKey(ALGORITHM, true, ["encrypt", "decrypt"]);
    const bytes = Buffer.from(await subtle.encrypt(counting(iv), key, plain));
    const hashes = { sha256: await hash(bytes) };
    return { bytes, file: { v: "v2", key: await subtle.exportKey("jwk", key), iv: unpadded(iv), hashes } };
}

/** The file itself, if what was fetched is what the event says. */
export async function decrypted(bytes, file) {
    assert.equal(await hash(bytes), file.hashes.sha256);
    const key = await subtle.importKey("jwk", file.key, ALGORITHM, false, ["decrypt"]);
    return Buffer.from(await subtle.decrypt(counting(Buffer.from(file.iv, "base64")), key, bytes));
}

function counting(counter) {
    return { name: ALGORITHM.name, counter, length: 8 * (16 - RANDOM_BYTES) };
}

async function hash(bytes) {
    return unpadded(await subtle.digest("SHA-256", bytes));
}

function unpadded(bytes) {
    return Buffer.from(bytes).toString("base64").replace(/=+$/, "");
}
