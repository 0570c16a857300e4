// A headless Chromium, the one that the machine has, and the tabs that people open in it.

import { chromium } from "playwright-core";

/** How long one step in a page may take; the machine may be busy. */
const PATIENCE_MS = 20_000;

/** What a browser says when a server's headers keep it from something. */
const REFUSALS = /CORS|Content Security Policy|MIME type|X-Frame-Options|Mixed Content|Refused to/i;

/** Starts the browser. */
export async function openBrowser(executablePath) {
    // Chromium's sandbox works neither for root nor in most containers, and no page here comes from elsewhere.
    return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** A person's own browser profile with one tab in it. */
export class Tab {
    /** The page, as Playwright knows it. */
    page;
    /** What the browser refused to do because of what the server said. */
    refusals = [];
    /** Where the page and its service worker went. */
    addresses = [];

    #name;

    static async open(browser, name) {
        const context = await browser.newContext({ viewport: { width: 1100, height: 700 } });
        context.setDefaultTimeout(PATIENCE_MS);
        const tab = new Tab();
        tab.#name = name;
        tab.page = await context.newPage();
        tab.page.on("console", (message) => {
            if (REFUSALS.test(message.text())) {
                tab.refusals.push(message.text());
            }
        });
        context.on("response", (response) => tab.addresses.push(response.url()));
        return tab;
    }

    /** A picture of what the person sees, if somebody wants to look. */
    async photograph(what) {
        if (process.env.COMMONROOM_SCREENSHOTS) {
            await this.page.screenshot({ path: `${process.env.COMMONROOM_SCREENSHOTS}/${this.#name}-${what}.png` });
        }
    }
}
