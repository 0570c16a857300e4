// Two devices of one person come to trust each other: both show the same emoji, and the person says so ("SAS verification").

import assert from "node:assert/strict";

import { CryptoEvent, VerificationPhase, VerifierEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

import { eventually } from "./story.mjs";

/** All of it, through messages from device to device; gives the emoji. */
export async function compareEmoji(asking, answering) {
    const received = new Promise((resolve) => answering.client.once(CryptoEvent.VerificationRequestReceived, resolve));
    const request = await asking.crypto.requestOwnUserVerification();
    const answer = await received;
    await answer.accept();
    await eventually("the request is accepted", () => request.phase === VerificationPhase.Ready);
    const verifiers = [await request.startVerification("m.sas.v1")];
    verifiers.push(await eventually("the other side begins", () => answer.verifier));

    const shown = verifiers.map((verifier) => new Promise((resolve) => verifier.once(VerifierEvent.ShowSas, resolve)));
    const verified = Promise.all(verifiers.map((verifier) => verifier.verify()));
    // If that fails, nothing is shown.
    const sides = await Promise.race([Promise.all(shown), verified]);
    const [emoji, others] = sides.map(({ sas }) => sas.emoji.map(([symbol]) => symbol).join(" "));
    assert.equal(emoji, others);
    await Promise.all(sides.map((side) => side.confirm()));
    await verified;
    return emoji;
}
