// A person logs in through the browser (OAuth 2.0), with what an unmodified matrix-js-sdk has for that.
//
//   node oauth.mjs path/to/commonroom [path/to/chromium]
//
// With a Chromium the person uses that; without one the story sends what a browser would.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import "./support/node20.mjs";
import { createClient } from "matrix-js-sdk";
import { OAuth2 } from "matrix-js-sdk/lib/oauth/index.js";
import { TokenRefresher } from "matrix-js-sdk/lib/oauth/tokenRefresher.js";

import { Device } from "./support/device.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { step } from "./support/story.mjs";

/** What the app registered; it comes back on whatever port it has. */
const REDIRECT_URI = "http://localhost/back";

const [binary, chromium] = process.argv.slice(2);

await play(story, binary);

async function story(server) {
    console.log("Logging in through the browser");
    await Device.register(server.url, "alice", PASSWORD, server.firstToken);
    await server.restartWith({ COMMONROOM_OAUTH__ENABLED: "true", COMMONROOM_WELL_KNOWN__CLIENT: server.url });

    const oauth = await step("the app finds out how, and registers itself", () => register(server));
    const app = await openApp();
    const address = await oauth.generateAuthorizationCodeGrantUrl("the state", app.redirectUri);
    const allow = chromium ? allowInBrowser : allowByHand;
    const location = await step("alice logs in on the page and allows it", () => allow(address, app));
    const told = new URLSearchParams(new URL(location).hash.slice(1));
    assert.ok(location.startsWith(app.redirectUri), location);
    assert.equal(told.get("state"), "the state");

    const tokens = await step("the app gets tokens that are hers", async () => {
        const tokens = await oauth.completeAuthorizationCodeGrant(told.get("code"), app.redirectUri);
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
        application_type: "native",
    });
    return new OAuth2(metadata, { clientId });
}

/** An app on the person's computer; for the browser it is another site than the server, which has another name. */
async function openApp() {
    const app = { page: "" };
    const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html");
        response.end(app.page);
    });
    await once(server.listen(0, "localhost"), "listening");
    server.unref();
    app.origin = `http://localhost:${server.address().port}`;
    app.redirectUri = `${app.origin}/back`;
    return app;
}

/** Opens the page from the app's, as a person does, with a mistake at first. */
async function allowInBrowser(address, app) {
    const { openBrowser, Tab } = await import("./support/browser.mjs");
    const browser = await openBrowser(chromium);
    try {
        const tab = await Tab.open(browser, "alice");
        app.page = `<a href="${address.replaceAll("&", "&amp;")}">Log in</a>`;
        await tab.page.goto(app.origin);
        await tab.page.getByText("Log in").click();
        const fill = async (password) => {
            await tab.page.getByLabel("Username or e-mail address").fill("alice");
            await tab.page.getByLabel("Password").fill(password);
        };
        await fill("a mistake");
        await tab.photograph("asked");
        await tab.page.getByRole("button", { name: "Log in and allow" }).click();
        await tab.page.getByRole("alert").getByText("The username or the password is wrong.").waitFor();
        await tab.photograph("refused");
        await fill(PASSWORD);
        await tab.page.getByLabel("Password").press("Enter");
        await tab.page.waitForURL((url) => url.href.startsWith(app.redirectUri));
        assert.deepEqual(tab.refusals, []);
        return tab.page.url();
    } finally {
        await browser.close();
    }
}

/** Sends what the browser would. */
async function allowByHand(address) {
    const page = await fetch(address);
    const [, seal] = (await page.text()).match(/name="seal" value="([^"]+)"/);
    const cookie = page.headers.get("set-cookie").split(";")[0];
    const body = new URLSearchParams({ seal, username: "alice", password: PASSWORD, decision: "allow" });
    const answer = await fetch(address, { method: "POST", body, headers: { cookie }, redirect: "manual" });
    return answer.headers.get("location");
}

function asUser(server, accessToken) {
    return createClient({ baseUrl: server.url, accessToken });
}
