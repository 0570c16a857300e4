"""What the stories with bridges share: a server, people with Matrix accounts, and patience.

Nothing but Python's own library is used here.
"""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

DOMAIN = "bridged.example"
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


class Server:
    """A fresh server in a folder, with registrations in another one that lies in it."""

    def __init__(self, folder, binary):
        self.folder, self.binary, self.port, self.process = folder, binary, free_port(), None
        self.registrations = folder / "appservices"
        self.registrations.mkdir()
        config = folder / "config.toml"
        init = [binary, "init", "--server-name", DOMAIN, "--data-dir", str(folder / "data"), "--config", str(config)]
        said = subprocess.run(init, check=True, capture_output=True, text=True).stdout
        self.token = re.search(r"^    (\S+)$", said, re.M)[1]
        config.write_text(
            f'server_name = "{DOMAIN}"\ndata_dir = "data"\nlisteners = [{{ address = "127.0.0.1:{self.port}" }}]\n'
            '[registration]\nmode = "token"\n[appservices]\nfolder = "appservices"\n'
        )

    def start(self):
        command = [self.binary, "serve", "--config", str(self.folder / "config.toml")]
        self.process = run(command, self.folder / "server.log")
        eventually("the server", lambda: accepts_connections(self.port))

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def url(self):
        return f"http://127.0.0.1:{self.port}"


class Person:
    """Somebody with a Matrix account."""

    def __init__(self, server, name):
        self.base, self.id, self.transactions = server.url, f"@{name}:{DOMAIN}", 0
        session = self.ask("POST", "register", {"username": name, "password": f"{name}'s password"}, ok=(401,))
        stages = {"type": "m.login.registration_token", "token": server.token, "session": session["session"]}
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


def accepts_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(command, log):
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)
