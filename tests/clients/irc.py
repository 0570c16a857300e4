"""An unmodified bridge to IRC, heisenbridge, between a fresh server and ngircd: people on both sides talk, through crashes.

    python3 irc.py path/to/commonroom path/to/python-with-heisenbridge

Nothing but Python's own library is used here.
"""

import os
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

from people import DOMAIN, Person, Server, accepts_connections, eventually, free_port, run, step


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
        self.folder, self.python, self.server = folder, python, Server(folder, binary)
        self.bridge = self.irc = None
        self.bridge_port, self.irc_port = free_port(), free_port()
        self.registration = self.server.registrations / "heisenbridge.yaml"
        generate = [self.python, "-m", "heisenbridge", "-c", str(self.registration), "-p", str(self.bridge_port)]
        subprocess.run([*generate, "--generate"], check=True, stdout=subprocess.DEVNULL)

    def start_irc(self):
        config = self.folder / "ngircd.conf"
        config.write_text(
            f"[Global]\nName = irc.example.test\nInfo = a story\nListen = 127.0.0.1\nPorts = {self.irc_port}\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )
        self.irc = run([ngircd(), "-n", "-f", str(config)], self.folder / "ngircd.log")
        eventually("ngircd", lambda: accepts_connections(self.irc_port))

    def start_bridge(self):
        # Unbuffered, since its own words say when it is ready: it takes transactions before it can do anything with them.
        command = [self.python, "-u", "-m", "heisenbridge", "-v", "-c", str(self.registration)]
        command += ["-p", str(self.bridge_port), "-o", f"@alice:{DOMAIN}", self.server.url()]
        log = self.folder / "bridge.log"
        self.bridge = run(command, log)
        eventually("the bridge", lambda: "bridge is now running" in log.read_text())

    def end(self):
        self.server.kill()
        for process in (self.bridge, self.irc):
            if process:
                process.kill()
                process.wait()


def ngircd():
    return next(path for path in ("/usr/sbin/ngircd", "/usr/local/sbin/ngircd", "/usr/bin/ngircd") if os.path.exists(path))


def story(it):
    print("A bridge to IRC")
    it.start_irc()
    it.server.start()
    alice = Person(it.server, "alice")
    it.start_bridge()
    bot = f"@heisenbridge:{DOMAIN}"

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
    ghost = f"@irc_tea_bob:{DOMAIN}"
    bob.say("hello from IRC")
    alice.hears(channel, "hello from IRC", ghost)
    alice.say(channel, "hello from Matrix")
    bob.hears(":hello from Matrix")
    profile = alice.ask("GET", f"profile/{urllib.parse.quote(ghost)}")
    assert profile["displayname"] == "bob", profile

    step("the server is killed, and they go on where they were")
    it.server.kill()
    it.server.start()
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
