// What a person does in Hydrogen: clicks, types and looks.

import { PASSWORD } from "./play.mjs";
import { eventually } from "./story.mjs";

/** Somebody in front of Hydrogen. */
export class HydrogenUser {
    /** The tab that they have it in. */
    tab;
    #page;

    constructor(tab) {
        this.tab = tab;
        this.#page = tab.page;
    }

    async logIn(url, name) {
        await this.#page.goto(url);
        await this.#page.getByLabel("Username").fill(name);
        await this.#page.getByLabel("Password").fill(PASSWORD);
        await this.tab.photograph("logs-in");
        await this.#page.getByRole("button", { name: "Log In" }).click();
        await this.#page.locator(".SessionView .LeftPanel").waitFor();
    }

    async createRoom(name, { encrypted }) {
        await this.#page.getByLabel("Create room", { exact: true }).click();
        await this.#page.getByRole("button", { name: "Create Room", exact: true }).click();
        await this.#page.getByLabel("Room name").fill(name);
        await this.#page.getByLabel("Enable end-to-end encryption").setChecked(encrypted);
        await this.#page.locator(".CreateRoomView button[type=submit]").click();
        // This version of Hydrogen does not open the room that it has made.
        await this.openRoom(name);
    }

    async openRoom(name) {
        await this.#tile(name).click();
        await this.#composer.waitFor();
    }

    /** Looks at something else, so that no room is open. */
    async closeRoom() {
        await this.#page.getByLabel("Settings").click();
        await this.#page.locator(".RoomView").waitFor({ state: "detached" });
    }

    async acceptInvitation(name) {
        await this.#tile(name).click();
        await this.tab.photograph("is-invited");
        await this.#page.getByRole("button", { name: "Accept" }).click();
        await this.#composer.waitFor();
    }

    /** Sends a message, or gives a command. */
    async say(text) {
        await this.#composer.fill(text);
        await this.#composer.press("Enter");
    }

    async read(text) {
        await this.#page.locator(".Timeline_messageBody", { hasText: text }).waitFor();
    }

    /** Waits until the badge of the room, the only one there is, says this; an empty text is no badge. */
    async seeBadge(text) {
        const badge = this.#page.locator(".RoomList .badge");
        await eventually(`the badge says "${text}"`, async () =>
            text === "" ? await badge.isHidden() : (await badge.isVisible()) && (await badge.textContent()) === text,
        );
    }

    async sendPicture(file) {
        const chosen = this.#page.waitForEvent("filechooser");
        await this.#page.getByTitle("Pick attachment").click();
        await this.#page.getByRole("button", { name: "Send picture" }).click();
        await (await chosen).setFiles(file);
    }

    /** Waits until the picture is drawn, and gives the address that it came from. */
    async seePicture(name) {
        const image = this.#page.locator(`.Timeline img[alt="${name}"]`);
        await image.waitFor();
        await eventually(`${name} is drawn`, () => image.evaluate((drawn) => drawn.complete && drawn.naturalWidth > 0));
        return await image.getAttribute("src");
    }

    async reload() {
        await this.#page.reload();
        await this.#composer.waitFor();
    }

    get #composer() {
        return this.#page.locator(".RoomView .MessageComposer textarea");
    }

    #tile(name) {
        return this.#page.locator(".RoomList .name", { hasText: name });
    }
}
