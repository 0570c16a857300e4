// A person logs in through the browser (OAuth 2.0), with what an unmodified matrix-js-sdk has for that.
//
//   node oauth.mjs path/to/commonroom

import assert from "node:assert/strict";

import "./support/node20.mjs";
import { createClient } from "matrix-js-sdk";
import { OAuth2 } from "matrix-js-sdk/lib/oauth/index.js";
import { TokenRefresher } from "matrix-js-sdk/lib/oauth/tokenRefresher.js";

import { Device } from "./support/device.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { step } from "./support/story.mjs";

const REDIRECT_URI = "https://app.example.com/back";

await play(story, process.argv[2]);

async function story(server) {
    console.log("Logging in through the browser");
    await Device.register(server.url, "alice", PASSWORD, server.firstToken);
    await server.restartWith({ COMMONROOM_OAUTH__ENABLED: "true", COMMONROOM_WELL_KNOWN__CLIENT: server.url });

    const oauth = await step("the app finds out how, and registers itself", () => register(server));
    const code = await step("alice logs in on the page and allows it", () => allow(oauth));
    const tokens = await step("the app gets tokens that are hers", async () => {
        const tokens = await oauth.completeAuthorizationCodeGrant(code, REDIRECT_URI);
        const { user_id, device_id } = await asUser(server, tokens.access_token).whoami();
        assert.deepEqual([user_id, device_id], ["@alice:clients.example", oauth.context.deviceId]);
        return tokens;
    });
    const refreshed = await step("the app refreshes them", async () => {
        const refreshed = await new TokenRefresher(oauth, () => {}).refreshTokens(tokens.refresh_token);
        await asUser(server, refreshed.accessToken).whoami();
        await assert.rejects(asUser(server, tokens.access_token).whoami(), { errcode: "M_UNKNOWN_TOKEN" });
        return refreshed;
    });
    await step("the app logs out", async () => {
        await oauth.revokeToken(refreshed.refreshToken, "refresh_token");
        await assert.rejects(asUser(server, refreshed.accessToken).whoami(), { errcode: "M_UNKNOWN_TOKEN" });
        await assert.rejects(oauth.performRefreshTokenGrant(refreshed.refreshToken), { httpStatus: 400 });
    });
}

async function register(server) {
    const metadata = await createClient({ baseUrl: server.url }).getAuthMetadata();
    const clientId = await OAuth2.registerClient(metadata, {
        client_name: "A story",
        client_uri: "https://example.com/",
        redirect_uris: [REDIRECT_URI],
        application_type: "web",
    });
    return new OAuth2(metadata, { clientId });
}

/** What the person and the browser do. */
async function allow(oauth) {
    const address = await oauth.generateAuthorizationCodeGrantUrl("the state", REDIRECT_URI);
    const page = await fetch(address);
    const [, seal] = (await page.text()).match(/name="seal" value="([^"]+)"/);
    const cookie = page.headers.get("set-cookie").split(";")[0];
    const body = new URLSearchParams({ seal, username: "alice", password: PASSWORD, decision: "allow" });
    const answer = await fetch(address, { method: "POST", body, headers: { cookie }, redirect: "manual" });
    const location = new URL(answer.headers.get("location"));
    assert.ok(location.href.startsWith(REDIRECT_URI), location.href);
    const told = new URLSearchParams(location.hash.slice(1));
    assert.equal(told.get("state"), "the state");
    return told.get("code");
}

function asUser(server, accessToken) {
    return createClient({ baseUrl: server.url, accessToken });
}
