// Two people chat in a real browser with an unmodified Hydrogen that the server itself hands out. One of them opens it under
// another origin than the server's, so that the browser asks before every request; a third tries to do harm.
//
//   node browser.mjs path/to/commonroom path/to/chromium
//
// COMMONROOM_SCREENSHOTS=folder keeps pictures of what they see.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openBrowser, Tab } from "./support/browser.mjs";
import { Device } from "./support/device.mjs";
import { unpackHydrogen } from "./support/hydrogen.mjs";
import { HydrogenUser } from "./support/hydrogen_user.mjs";
import { picture } from "./support/picture.mjs";
import { PASSWORD, play } from "./support/play.mjs";
import { step } from "./support/story.mjs";

const [binary, chromium] = process.argv.slice(2);

/** The story ends after this, whatever it is waiting for. */
const LONGEST_MS = 60_000;

/** What would run in the name of the web client, if the browser let it. */
const EVIL = "localStorage.setItem('evil', 'was here')";
const EVIL_PAGE = `<html xmlns="http://www.w3.org/1999/xhtml"><script>${EVIL}</script></html>`;
const EVIL_PICTURE = `<svg xmlns="http://www.w3.org/2000/svg"><script>${EVIL}</script></svg>`;

setTimeout(() => {
    console.error(`The story took more than ${LONGEST_MS / 1000} s.`);
    process.exit(1);
}, LONGEST_MS).unref();
await play(story, binary);

async function story(server) {
    const folder = mkdtempSync(join(tmpdir(), "commonroom-web-client-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    await step("the operator puts Hydrogen into a folder and names it in the configuration", async () => {
        await unpackHydrogen(folder, elsewhere(server.url));
        await server.restartWith({
            COMMONROOM_WEB__CLIENT_DIR: folder,
            COMMONROOM_WELL_KNOWN__CLIENT: server.url,
            COMMONROOM_MEDIA__UNAUTHENTICATED_ACCESS: "on",
        });
    });
    const mallory = await step("alice, bob and mallory have accounts", () => makeAccounts(server));
    const browser = await openBrowser(chromium);
    try {
        await chat(server, browser);
        await resist(server, browser, mallory);
    } finally {
        await browser.close();
    }
}

async function makeAccounts(server) {
    const token = server.createToken(3);
    await Device.register(server.url, "alice", PASSWORD, token);
    await Device.register(server.url, "bob", PASSWORD, token);
    return await Device.register(server.url, "mallory", PASSWORD, token);
}

/** The same server, which browsers take for another. */
function elsewhere(url) {
    return url.replace("127.0.0.1", "localhost");
}

async function chat(server, browser) {
    const tabs = [await Tab.open(browser, "alice"), await Tab.open(browser, "bob")];
    const [alice, bob] = tabs.map((tab) => new HydrogenUser(tab));
    try {
        await enter(server, alice, bob);
        await talk(server, alice, bob);
        await talkInSecret(alice, bob);
    } catch (error) {
        await Promise.all(tabs.map((tab) => tab.photograph("at-the-end")));
        throw error;
    }
    await step("the browser refused nothing", () => assert.deepEqual(tabs.flatMap((tab) => tab.refusals), []));
}

async function enter(server, alice, bob) {
    await step("alice opens the server's address and logs in", () => alice.logIn(server.url, "alice"));
    await step("bob opens it under another origin and logs in", () => bob.logIn(elsewhere(server.url), "bob"));
    await step("both clients have found the server by what .well-known says", () => {
        for (const { addresses } of [alice.tab, bob.tab]) {
            const asked = `${elsewhere(server.url)}/.well-known/matrix/client`;
            assert.ok(addresses.some((address) => address.startsWith(asked)), addresses.join("\n"));
            const used = addresses.filter((address) => address.includes("/_matrix/"));
            assert.ok(used.length > 0 && used.every((address) => address.startsWith(server.url)), used.join("\n"));
        }
    });
}

async function talk(server, alice, bob) {
    await step("alice creates a room and invites bob, who accepts", async () => {
        await alice.createRoom("Tea", { encrypted: false });
        await alice.say("/invite @bob:clients.example");
        await bob.acceptInvitation("Tea");
    });
    await step("they talk", async () => {
        await alice.say("Hello bob");
        await bob.read("Hello bob");
        await bob.say("Hello alice");
        await alice.read("Hello alice");
        await alice.tab.photograph("talks");
    });
    await step("bob sees how much he has not read, until he has read it", async () => {
        await bob.closeRoom();
        await alice.say("Are you there?");
        await alice.say("The tea is getting cold.");
        await bob.seeBadge("2");
        await bob.tab.photograph("has-unread-messages");
        await bob.openRoom("Tea");
        await bob.read("The tea is getting cold.");
        await bob.seeBadge("");
    });
    await step("alice sends a picture, and both see what nobody else does", async () => {
        await alice.sendPicture({ name: "sunset.png", mimeType: "image/png", buffer: picture(320, 200) });
        await alice.seePicture("sunset.png");
        const address = await bob.seePicture("sunset.png");
        await bob.tab.photograph("sees-a-picture");
        assert.ok(address.startsWith(`${server.url}/_matrix/client/v1/media/`), address);
        assert.equal((await fetch(address)).status, 401);
    });
    await step("alice reloads the page, and all is there again", async () => {
        await alice.reload();
        await alice.read("The tea is getting cold.");
        await alice.seePicture("sunset.png");
        await alice.tab.photograph("has-reloaded");
    });
}

async function talkInSecret(alice, bob) {
    await step("they talk in an encrypted room, too", async () => {
        await alice.createRoom("Secrets", { encrypted: true });
        await alice.say("/invite @bob:clients.example");
        await bob.acceptInvitation("Secrets");
        await alice.say("Nobody else can read this");
        await bob.read("Nobody else can read this");
        await bob.say("Nor this");
        await alice.read("Nor this");
        await alice.tab.photograph("has-a-secret");
    });
}

async function resist(server, browser, mallory) {
    const tab = await Tab.open(browser, "mallory");
    const inThePage = (does, argument) => tab.page.evaluate(does, argument);
    await step("what mallory uploads does not run when somebody opens it", async () => {
        for (const [content, type] of [
            [EVIL_PAGE, "text/html"],
            [EVIL_PAGE, "application/xhtml+xml"],
            [EVIL_PICTURE, "image/svg+xml"],
            [EVIL_PAGE, "text/plain"],
            [EVIL_PAGE, "image/png"],
        ]) {
            // What is downloaded instead is no navigation to Playwright.
            await tab.page.goto(await upload(server, mallory, content, type)).catch((error) => {
                assert.match(error.message, /Download is starting/);
            });
        }
        await tab.page.goto(`${server.url}/config.json`);
        assert.equal(await inThePage(() => localStorage.getItem("evil")), null);
    });
    await step("nor when the client's own page is made to load it as a script", async () => {
        const script = await upload(server, mallory, EVIL, "text/javascript");
        assert.equal(await inThePage(loadScript, script), "error");
        assert.equal(await inThePage(loadScript, `${server.url}/olm.js`), "load", "scripts of the client do run");
        assert.equal(await inThePage(() => localStorage.getItem("evil")), null);
    });
    await step("another site cannot put the client into a frame", async () => {
        await tab.page.goto(`${elsewhere(server.url)}/config.json`);
        await inThePage(openFrame, server.url);
        assert.match(tab.refusals.at(-1), /frame-ancestors 'self'/);
    });
}

/** Uploads a file, and gives an address that browsers open. */
async function upload(server, { client }, content, type) {
    const { content_uri: uri } = await client.uploadContent(new Blob([content]), { type, includeFilename: false });
    return `${server.url}/_matrix/media/v3/download/${uri.slice("mxc://".length)}`;
}

/** Runs in the page. */
function loadScript(address) {
    return new Promise((resolve) => {
        const script = document.createElement("script");
        script.onload = script.onerror = (event) => resolve(event.type);
        script.src = address;
        document.documentElement.append(script);
    });
}

/** Runs in the page. */
function openFrame(address) {
    return new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.onload = () => resolve();
        frame.src = address;
        document.documentElement.append(frame);
    });
}
