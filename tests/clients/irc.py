"""An unmodified bridge to IRC, heisenbridge, between a fresh server and ngircd: people on both sides talk, through crashes.

    python3 irc.py path/to/commonroom path/to/python-with-heisenbridge

Nothing but Python's own library is used here.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PATIENCE = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, attempt):
    """Asks again and again until `attempt` gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = attempt()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def step(text):
    print(f"  {text}", flush=True)


class Person:
    """Somebody with a Matrix account."""

    def __init__(self, base, name, token):
        self.base, self.id, self.transactions = base, f"@{name}:irc.example", 0
        session = self.ask("POST", "register", {"username": name, "password": f"{name}'s password"}, ok=(401,))
        stages = {"type": "m.login.registration_token", "token": token, "session": session["session"]}
        body = {"username": name, "password": f"{name}'s password", "auth": stages}
        self.token = self.ask("POST", "register", body)["access_token"]

    token = None

    def ask(self, method, path, body=None, ok=(200,)):
        request = urllib.request.Request(f"{self.base()}/_matrix/client/v3/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            answer = json.load(refusal)
            assert refusal.code in ok, f"{method} {path}: {refusal.code} {answer}"
            return answer

    def say(self, room, text):
        self.transactions += 1
        path = f"rooms/{urllib.parse.quote(room)}/send/m.room.message/{self.transactions}"
        self.ask("PUT", path, {"msgtype": "m.text", "body": text})

    def heard(self, room):
        """The texts of a room, oldest first, each with its sender."""
        page = self.ask("GET", f"rooms/{urllib.parse.quote(room)}/messages?dir=b&limit=200")["chunk"]
        return [(event["sender"], event["content"].get("body", "")) for event in reversed(page)]

    def hears(self, room, text, sender=None):
        def found():
            return [it for it in self.heard(room) if text in it[1] and it[0] != self.id and sender in (None, it[0])]

        return eventually(f"{text!r} in {room}", found)

    def accepts(self, name):
        """Joins the room that somebody invites to and whose name begins like this."""

        def invited():
            rooms = self.ask("GET", "sync?timeout=0")["rooms"].get("invite", {})
            return [room for room, it in rooms.items() if begins(it["invite_state"]["events"])]

        def begins(state):
            names = [event["content"].get("name") for event in state if event["type"] == "m.room.name"]
            return any((it or "").startswith(name) for it in names)

        room = eventually(f"an invitation to {name}", invited)[0]
        self.ask("POST", f"join/{urllib.parse.quote(room)}", {})
        return room


class Irc:
    """Somebody on IRC with nothing but a socket."""

    def __init__(self, port, nick, channel):
        self.lines, self.rest = [], b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.send(f"NICK {nick}")
        self.send(f"USER {nick} 0 * :{nick}")
        eventually("a welcome on IRC", lambda: self.saw(" 001 "))
        self.channel = channel
        self.send(f"JOIN {channel}")
        eventually("the channel", lambda: self.saw(" 366 "))

    def send(self, line):
        self.socket.sendall(f"{line}\r\n".encode())

    def say(self, text):
        self.send(f"PRIVMSG {self.channel} :{text}")

    def saw(self, text):
        try:
            self.rest += self.socket.recv(65536)
        except BlockingIOError:
            pass
        *whole, self.rest = self.rest.split(b"\r\n")
        for line in (line.decode() for line in whole):
            if line.startswith("PING"):
                self.send(line.replace("PING", "PONG", 1))
            self.lines.append(line)
        return any(text in line for line in self.lines)

    def hears(self, text):
        eventually(f"{text!r} on IRC", lambda: self.saw(text))


class Processes:
    """What runs during the story, in a folder that goes with it."""

    def __init__(self, folder, binary, python):
        self.folder, self.binary, self.python = folder, binary, python
        self.server = self.bridge = self.irc = None
        self.port, self.bridge_port, self.irc_port = free_port(), free_port(), free_port()

    def start_irc(self):
        config = self.folder / "ngircd.conf"
        config.write_text(
            f"[Global]\nName = irc.example.test\nInfo = a story\nListen = 127.0.0.1\nPorts = {self.irc_port}\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )
        self.irc = self.run([ngircd(), "-n", "-f", str(config)], "ngircd.log")
        eventually("ngircd", lambda: accepts_connections(self.irc_port))

    def prepare(self):
        registrations = self.folder / "appservices"
        registrations.mkdir()
        self.registration = registrations / "heisenbridge.yaml"
        generate = [self.python, "-m", "heisenbridge", "-c", str(self.registration), "-p", str(self.bridge_port)]
        subprocess.run([*generate, "--generate"], check=True, stdout=subprocess.DEVNULL)
        config = self.folder / "config.toml"
        init = [self.binary, "init", "--server-name", "irc.example", "--data-dir", str(self.folder / "data")]
        said = subprocess.run([*init, "--config", str(config)], check=True, capture_output=True, text=True).stdout
        config.write_text(
            f'server_name = "irc.example"\ndata_dir = "data"\nlisteners = [{{ address = "127.0.0.1:{self.port}" }}]\n'
            '[appservices]\nfolder = "appservices"\n'
        )
        return re.search(r"^    (\S+)$", said, re.M)[1]

    def start_server(self):
        self.server = self.run([self.binary, "serve", "--config", str(self.folder / "config.toml")], "server.log")
        eventually("the server", lambda: accepts_connections(self.port))

    def start_bridge(self):
        command = [self.python, "-m", "heisenbridge", "-v", "-c", str(self.registration), "-p", str(self.bridge_port)]
        command += ["-o", "@alice:irc.example", self.url()]
        self.bridge = self.run(command, "bridge.log")
        eventually("the bridge", lambda: accepts_connections(self.bridge_port))

    def run(self, command, log):
        with open(self.folder / log, "ab") as output:
            return subprocess.Popen(command, stdout=output, stderr=output)

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def end(self):
        for process in (self.bridge, self.server, self.irc):
            if process:
                process.kill()
                process.wait()


def ngircd():
    return next(path for path in ("/usr/sbin/ngircd", "/usr/local/sbin/ngircd", "/usr/bin/ngircd") if os.path.exists(path))


def accepts_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def story(it):
    print("A bridge to IRC")
    token = it.prepare()
    it.start_irc()
    it.start_server()
    alice = Person(it.url, "alice", token)
    it.start_bridge()
    bot = "@heisenbridge:irc.example"

    step("alice tells the bridge where IRC is")
    body = {"invite": [bot], "is_direct": True, "preset": "trusted_private_chat"}
    control = alice.ask("POST", "createRoom", body)["room_id"]
    alice.hears(control, "Howdy", bot)
    alice.say(control, "ADDNETWORK tea")
    alice.hears(control, "Network added", bot)
    alice.say(control, f"ADDSERVER tea 127.0.0.1 {it.irc_port}")
    alice.hears(control, "Server added", bot)
    alice.say(control, "OPEN tea")
    network = alice.accepts("tea")
    alice.say(network, "NICK alice")
    alice.say(network, "CONNECT")
    alice.hears(network, "Internet Relay Network")

    step("she joins a channel, where bob on IRC is")
    bob = Irc(it.irc_port, "bob", "#tea")
    alice.say(network, "JOIN #tea")
    channel = alice.accepts("#tea")
    bob.hears(" JOIN ")

    step("they talk to each other")
    ghost = "@irc_tea_bob:irc.example"
    bob.say("hello from IRC")
    alice.hears(channel, "hello from IRC", ghost)
    alice.say(channel, "hello from Matrix")
    bob.hears(":hello from Matrix")
    profile = alice.ask("GET", f"profile/{urllib.parse.quote(ghost)}")
    assert profile["displayname"] == "bob", profile

    step("the server is killed, and they go on where they were")
    it.server.kill()
    it.server.wait()
    it.start_server()
    bob.say("after the crash")
    alice.hears(channel, "after the crash", ghost)
    alice.say(channel, "so it goes")
    bob.hears(":so it goes")
    assert sum("so it goes" in line for line in bob.lines) == 1

    step("bob leaves, and his ghost leaves with him")
    bob.send("QUIT :bye")

    def gone():
        members = alice.ask("GET", f"rooms/{urllib.parse.quote(channel)}/joined_members")["joined"]
        return ghost not in members

    eventually("the ghost to leave", gone)


def main():
    binary, python = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        it = Processes(Path(folder), binary, python)
        try:
            story(it)
        except BaseException:
            for log in ("server.log", "bridge.log", "ngircd.log"):
                path = it.folder / log
                print(f"--- the end of {log} ---\n{path.read_text()[-4000:] if path.exists() else ''}", file=sys.stderr)
            raise
        finally:
            it.end()


main()
