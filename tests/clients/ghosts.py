"""The framework that most bridges in Python stand on, mautrix, unmodified: ghosts, questions, typing, receipts, messages to
devices, and every message once through a crash.

    python-with-mautrix ghosts.py path/to/commonroom
"""

import asyncio
import logging
import secrets
import sys
import tempfile
import urllib.parse
from pathlib import Path

from mautrix.appservice import AppService
from mautrix.appservice.state_store import ASStateStore
from mautrix.client.state_store import MemoryStateStore
from mautrix.types import EventType, PresenceState, RoomCreatePreset

from people import DOMAIN, PATIENCE, Person, Server, free_port, step

GHOST = f"@_tea_bob:{DOMAIN}"
LATE = f"@_tea_late:{DOMAIN}"
LOUNGE = f"#_tea_lounge:{DOMAIN}"


class States(ASStateStore, MemoryStateStore):
    """What mautrix knows of rooms, in memory."""

    def __init__(self):
        ASStateStore.__init__(self)
        MemoryStateStore.__init__(self)


class Bridge:
    """A bridge that notes what it hears and makes what it is asked for."""

    def __init__(self, server):
        self.port, self.heard, self.devices, self.keys = free_port(), [], [], {}
        tokens = {"as_token": secrets.token_hex(16), "hs_token": secrets.token_hex(16)}
        server.registrations.joinpath("tea.yaml").write_text(
            f"id: tea\nurl: http://127.0.0.1:{self.port}\nas_token: {tokens['as_token']}\nhs_token: {tokens['hs_token']}\n"
            "sender_localpart: teabot\nrate_limited: false\nde.sorunome.msc2409.push_ephemeral: true\n"
            "receive_ephemeral: true\norg.matrix.msc3202: true\nio.element.msc4190: true\nnamespaces:\n"
            f"  users:\n  - {{exclusive: true, regex: '@_tea_.+:{DOMAIN}'}}\n"
            f"  aliases:\n  - {{exclusive: true, regex: '#_tea_.+:{DOMAIN}'}}\n"
        )
        self.service = AppService(
            server=server.url(), domain=DOMAIN, id="tea", bot_localpart="teabot", state_store=States(),
            query_user=self.make_user, query_alias=self.make_alias,
            ephemeral_events=True, encryption_events=True, default_http_retry_count=3, **tokens,
        )
        self.service.matrix_event_handler(self.hears)
        self.service.to_device_handler = self.hears_device
        self.service.otk_handler = self.hears_keys

    async def start(self):
        await self.service.start(port=self.port)

    def user(self, user_id):
        return self.service.intent.user(user_id)

    async def make_user(self, user_id):
        await self.user(user_id).ensure_registered()
        await self.user(user_id).set_displayname("Late")
        return {"made": True}

    async def make_alias(self, alias):
        localpart = alias[1:].split(":")[0]
        await self.service.intent.create_room(alias_localpart=localpart, preset=RoomCreatePreset.PUBLIC, name="The lounge")
        return {"made": True}

    async def hears(self, event):
        self.heard.append(event)

    async def hears_device(self, message):
        self.devices.append(message)

    async def hears_keys(self, keys):
        self.keys.update(keys)

    def texts(self):
        return [it.content.body for it in self.heard if it.type == EventType.ROOM_MESSAGE and it.sender != GHOST]


async def until(what, attempt):
    """Asks again and again until `attempt` gives something, while the bridge goes on."""
    for _ in range(PATIENCE * 20):
        found = attempt()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


async def story(server):
    print("A bridge that stands on mautrix")
    bridge = Bridge(server)
    server.start()
    await bridge.start()
    alice = await asyncio.to_thread(Person, server, "alice")

    async def ask(*arguments, **more):
        return await asyncio.to_thread(alice.ask, *arguments, **more)

    step("it finds out that it can be reached")
    assert await bridge.service.ping_self("meow") >= 0

    step("it makes the room and the user that somebody asks for")
    room = (await ask("POST", f"join/{urllib.parse.quote(LOUNGE)}", {}))["room_id"]
    profile = await ask("GET", f"profile/{urllib.parse.quote(LATE)}")
    assert profile["displayname"] == "Late", profile
    quoted = urllib.parse.quote(room)

    step("a ghost comes in and speaks with the time of its own network")
    ghost = bridge.user(GHOST)
    await ghost.ensure_registered()
    await ghost.set_displayname("Bob")
    await ghost.join_room(room)
    said = await ghost.send_text(room, "hello from far away", timestamp=1_234_567)
    event = await ask("GET", f"rooms/{quoted}/event/{urllib.parse.quote(said)}")
    assert (event["sender"], event["origin_server_ts"]) == (GHOST, 1_234_567), event
    await ghost.set_presence(PresenceState.ONLINE)
    await ghost.set_typing(room, timeout=5_000)

    step("it hears who types and who has read")
    await ask("PUT", f"rooms/{quoted}/typing/{alice.id}", {"typing": True, "timeout": 30_000})
    await ask("POST", f"rooms/{quoted}/receipt/m.read/{urllib.parse.quote(said)}", {})
    await until("typing", lambda: any(it.type == EventType.TYPING and alice.id in it.content.user_ids for it in bridge.heard))
    await until("a receipt", lambda: any(it.type == EventType.RECEIPT and said in it.content for it in bridge.heard))

    step("its devices are written to, and it hears how many keys they have left")
    await ghost.create_device_msc4190("TEA", "a bridge")
    message = {"messages": {GHOST: {"TEA": {"secret": 1}}}}
    await ask("PUT", "sendToDevice/org.example.tea/1", message)
    heard = (await until("a message to a device", lambda: bridge.devices))[0]
    assert (heard.to_user_id, heard.to_device_id, heard.sender) == (GHOST, "TEA", alice.id), heard
    assert "TEA" in bridge.keys[GHOST], bridge.keys

    step("the server is killed while people talk, and it hears everything once")
    for n in range(10):
        await asyncio.to_thread(alice.say, room, f"before {n}")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    for n in range(10):
        await asyncio.to_thread(alice.say, room, f"after {n}")
    expected = [f"{when} {n}" for when in ("before", "after") for n in range(10)]
    await until("everything", lambda: len(bridge.texts()) >= len(expected))
    assert bridge.texts() == expected, bridge.texts()
    await ghost.send_text(room, "goodbye")
    await asyncio.to_thread(alice.hears, room, "goodbye", GHOST)
    await bridge.service.stop()


def main():
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), sys.argv[1])
        try:
            asyncio.run(story(server))
        except BaseException:
            print(f"--- the end of server.log ---\n{(server.folder / 'server.log').read_text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            server.kill()


main()
