// Two devices of one person come to trust each other: both show the same emoji, and the person says so ("SAS verification").

import assert from "node:assert/strict";

import { CryptoEvent, VerificationPhase, VerifierEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

import { eventually } from "./story.mjs";

/** All of it, through messages from device to device; gives the emoji. */
export async function compareEmoji(asking, answering) {
    await know(asking, answering);
    await know(answering, asking);
    let answer;
    answering.client.once(CryptoEvent.VerificationRequestReceived, (received) => (answer = received));
    const request = await asking.crypto.requestOwnUserVerification();
    await eventually("the request arrives", () => answer);
    await answer.accept();
    await eventually("the request is accepted", () => request.phase === VerificationPhase.Ready);
    const verifiers = [await request.startVerification("m.sas.v1")];
    verifiers.push(await eventually("the other side begins", () => answer.verifier));

    const sides = new Map();
    for (const verifier of verifiers) {
        verifier.once(VerifierEvent.ShowSas, (side) => sides.set(verifier, side));
        verifier.verify().catch((error) => sides.set(verifier, error));
    }
    await eventually("both show something", () => sides.size === verifiers.length);
    const [emoji, others] = verifiers.map((verifier) => shown(sides.get(verifier)));
    assert.equal(emoji, others);
    await Promise.all([...sides.values()].map((side) => side.confirm()));
    await eventually("both are done", () => [request, answer].every(({ phase }) => phase === VerificationPhase.Done));
    return emoji;
}

/** Waits until one device has heard of another one, as it has by the time somebody asks for this. */
async function know(device, other) {
    await eventually(`${device} knows ${other}`, () =>
        device.crypto.getDeviceVerificationStatus(other.userId, other.deviceId),
    );
}

function shown(side) {
    if (side instanceof Error) {
        throw side;
    }
    return side.sas.emoji.map(([symbol]) => symbol).join(" ");
}
