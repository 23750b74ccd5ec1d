"""Programs that pretend to offer a service on a D-Bus session, for what the real one cannot be made to do.

They run through :meth:`support.secret_service.DesktopSession.run_service`; the first argument is the name they take.
"""

from __future__ import annotations

_HEAD = """
import sys
from jeepney import HeaderFields, MessageType, DBusAddress, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection

connection = open_dbus_connection()
Proxy(message_bus, connection).RequestName(sys.argv[1])

def calls():
    while True:
        message = connection.receive()
        if message.header.message_type is MessageType.method_call:
            yield message, message.header.fields[HeaderFields.member]
"""

MUTE = _HEAD + "for _ in calls(): pass\n"
"""Takes every call and answers none."""

PROMPTING = (
    _HEAD
    + """
locked = True
for message, member in calls():
    def answer(signature, *body):
        connection.send(new_method_return(message, signature, body))
    if member == "ReadAlias":
        answer("o", "/" if sys.argv[2] == "none" else "/collection")
    elif member == "Get":
        answer("v", ("b", locked) if message.body[1] == "Locked" else ("s", "Login"))
    elif member == "Unlock":
        answer("aoo", [], "/prompt")
    elif member == "Prompt":
        answer("")
        if sys.argv[2] == "ignored":
            continue
        locked = sys.argv[2] == "dismissed"
        prompt = DBusAddress("/prompt", interface="org.freedesktop.Secret.Prompt")
        connection.send(new_signal(prompt, "Completed", "bv", (locked, ("ao", ["/collection"]))))
    elif member == "SearchItems":
        answer("ao", [])
    else:
        connection.send(new_error(message, "org.freedesktop.DBus.Error.UnknownMethod"))
"""
)
"""A Secret Service whose collection is locked, and whose dialog is ``opened``, ``dismissed`` or ``ignored`` (the second
argument); or that has ``none``."""

KWALLET = (
    _HEAD
    + """
answers = {"isEnabled": ("b", sys.argv[2] != "off"), "networkWallet": ("s", "kdewallet"),
           "isOpen": ("b", sys.argv[2] == "open")}
for message, member in calls():
    if sys.argv[2] != "mute":
        signature, value = answers[member]
        connection.send(new_method_return(message, signature, (value,)))
"""
)
"""A KWallet whose wallet is ``open`` or ``closed``, that is ``off``, or that is ``mute`` (the second argument)."""
