// The real binary in a temporary folder: it is started, killed in the middle of its work, started again, stopped.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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

    /** Where clients connect: any free port at the first start, and the same again after each restart. */
    url = "http://127.0.0.1:0";

    /** A fresh server on which everybody may register, as often as they like. */
    static async start(binary) {
        const server = new Server(binary);
        server.#init();
        await server.#serve();
        return server;
    }

    constructor(binary) {
        this.#binary = binary;
    }

    /** Leaves the server no chance to finish anything, and starts it on the same data. */
    async killAndRestart() {
        await this.#end("SIGKILL");
        await this.#serve();
    }

    /** Asks the server to stop, as a process manager would, and insists that it does so in good order. */
    async stop() {
        const [code, signal] = await this.#end("SIGTERM");
        if (code !== 0) {
            throw new Error(`the server did not stop in good order: exit code ${code}, signal ${signal}`);
        }
    }

    /** Removes every trace, whatever state the server is in. */
    async discard() {
        await this.#end("SIGKILL");
        rmSync(this.#folder, { recursive: true, force: true });
    }

    /** What the server logged last. */
    get logTail() {
        return this.#log.slice(-LOG_TAIL).map(readable).join("\n");
    }

    #init() {
        const data = join(this.#folder, "data");
        const init = spawnSync(this.#binary, this.#arguments("init", "--server-name", SERVER_NAME, "--data-dir", data));
        if (init.status !== 0) {
            throw new Error(`${this.#binary} init failed: ${init.error ?? init.stderr}`);
        }
    }

    /** Starts the server and waits until it says where it listens. */
    async #serve() {
        writeFileSync(this.#config, configuration(new URL(this.url).host));
        const started = spawn(this.#binary, this.#arguments("serve"), { stdio: ["ignore", "pipe", "pipe"] });
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

    get #config() {
        return join(this.#folder, "config.toml");
    }

    #arguments(...command) {
        return ["--config", this.#config, ...command];
    }
}

function configuration(address) {
    return `
server_name = "${SERVER_NAME}"
data_dir = "data"
listeners = [{ address = "${address}" }]
[registration]
mode = "open"
[passwords]
memory_kib = 8
iterations = 1
[limits]
enabled = false
[log]
format = "json"
level = "info,commonroom=debug"
`;
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
