// The real binary in a temporary folder: it is started, killed in the middle of its work, started again, stopped.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { PATIENCE_MS } from "./story.mjs";

const SERVER_NAME = "clients.example";

/** How many of the server's last log lines are shown when a story fails. */
const LOG_TAIL = 60;

export class Server {
    #binary;
    #folder = mkdtempSync(join(tmpdir(), "commonroom-clients-"));
    #process;
    #log = [];
    /** What the story has in the configuration besides, as environment variables. */
    #settings = {};

    /** Where clients connect: any free port at the first start, and the same again after each restart. */
    url = "http://127.0.0.1:0";

    /** The registration token that `commonroom init` printed. */
    firstToken;

    /** A fresh server with the configuration that `commonroom init` writes. */
    static async start(binary) {
        const server = new Server(binary);
        await server.#serve();
        return server;
    }

    constructor(binary) {
        this.#binary = binary;
        // Whatever ends the story, an error that nobody caught included, nothing is left of it.
        process.once("exit", () => this.#discard());
        const said = this.#command("init", "--server-name", SERVER_NAME, "--data-dir", join(this.#folder, "data"));
        this.firstToken = said.match(/^ {4}(\S+)$/m)[1];
    }

    /** A registration token for so many accounts. */
    createToken(uses) {
        return this.#command("token", "create", "--uses", uses).trim();
    }

    /** Leaves the server no chance to finish anything, and starts it on the same data. */
    async killAndRestart() {
        await this.#end("SIGKILL");
        await this.#serve();
    }

    /** Starts the server anew with more in its configuration, each key as its environment variable. */
    async restartWith(settings) {
        await this.stop();
        this.#settings = { ...this.#settings, ...settings };
        await this.#serve();
    }

    /** Asks the server to stop, as a process manager would, and insists that it does so in good order. */
    async stop() {
        const [code, signal] = await this.#end("SIGTERM");
        if (code !== 0) {
            throw new Error(`the server did not stop in good order: exit code ${code}, signal ${signal}`);
        }
    }

    /** What the server logged last. */
    get logTail() {
        return this.#log.slice(-LOG_TAIL).map(readable).join("\n");
    }

    /** What an operator's command prints. */
    #command(...command) {
        const ended = spawnSync(this.#binary, this.#arguments(...command), { encoding: "utf8" });
        if (ended.status !== 0) {
            throw new Error(`commonroom ${command.join(" ")} failed: ${ended.error ?? ended.stderr}`);
        }
        return ended.stdout;
    }

    /** Starts the server and waits until it says where it listens. */
    async #serve() {
        const env = { ...process.env, ...overrides(new URL(this.url).host), ...this.#settings };
        const started = spawn(this.#binary, this.#arguments("serve"), { env, stdio: ["ignore", "pipe", "pipe"] });
        this.#process = started;
        createInterface(started.stderr).on("line", (line) => this.#log.push(parsed(line)));
        this.url = await new Promise((resolve, reject) => {
            const refuse = (why) => reject(new Error(`the server did not start: ${why}`));
            started.once("error", refuse);
            started.once("exit", (code) => refuse(`exit code ${code}`));
            setTimeout(() => refuse(`it was silent for ${PATIENCE_MS / 1000} s`), PATIENCE_MS).unref();
            createInterface(started.stdout).on("line", (line) => {
                const entry = parsed(line);
                this.#log.push(entry);
                if (entry.message === "listening") {
                    resolve(entry.address);
                }
            });
        });
    }

    /** Sends the signal if the server runs, and waits for its end; gives the exit code and the signal that ended it. */
    async #end(signal) {
        const running = this.#process;
        if (!running || running.exitCode !== null || running.signalCode !== null) {
            return [running?.exitCode, running?.signalCode];
        }
        const ended = once(running, "exit", { signal: AbortSignal.timeout(PATIENCE_MS) });
        running.kill(signal);
        return await ended;
    }

    #discard() {
        this.#process?.kill("SIGKILL");
        // The server may still be about to write a file.
        rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    }

    #arguments(...command) {
        return ["--config", join(this.#folder, "config.toml"), ...command.map(String)];
    }
}

/** Where the story differs from what an operator gets by doing nothing. */
function overrides(address) {
    return {
        COMMONROOM_LISTENERS: `[{ address = "${address}" }]`,
        COMMONROOM_LOG__FORMAT: "json",
        COMMONROOM_LOG__LEVEL: "info,commonroom=debug",
        // The people of this story type faster than people do.
        COMMONROOM_LIMITS__MESSAGES: "{ per_second = 1000.0, burst = 1000 }",
    };
}

/** The entry that a line of the log is; a panic, for example, is just text. */
function parsed(line) {
    try {
        return JSON.parse(line);
    } catch {
        return { message: line };
    }
}

/** A log entry without what a reader of a failed story does not need. */
function readable({ timestamp = "", level = "", message, target, span = {}, ...fields }) {
    const { id, name, ...request } = span;
    const values = Object.values({ ...fields, ...request }).join(" ");
    return `${timestamp} ${level} ${message} ${values}`;
}
