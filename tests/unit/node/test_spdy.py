"""SPDY frames, there and back."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.node.spdy_client import Client, control
from wellhead.node.server import spdy
from wellhead.node.server.spdy import Data, Decoder, Encoder, GoAway, Open, Ping, ProtocolError, Reset


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.data())
def test_frames_are_found_however_the_bytes_come(data: st.DataObject) -> None:
    client = Client()
    headers = {"streamtype": "error", "port": "80", "requestid": "0"}
    sent = client.open(1, headers) + spdy.data(1, b"", last=True)
    sent += client.open(3, {**headers, "streamtype": "data"}) + spdy.data(3, b"some bytes")
    sent += spdy.ping(7) + control(4, bytes(4)) + control(7, bytes(8)) + spdy.reset(3)
    decoder, frames, rest = Decoder(), [], sent
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        frames += list(decoder.feed(rest[:count]))
        rest = rest[count:]
    assert frames == [
        Open(1, headers),
        Data(1, b"", last=True),
        Open(3, {**headers, "streamtype": "data"}),
        Data(3, b"some bytes", last=False),
        Ping(7),
        GoAway(),
        Reset(3),
    ]


def test_replies_share_one_compression() -> None:
    encoder = Encoder()
    inflate = zlib.decompressobj(zdict=spdy.DICTIONARY)
    for stream in (1, 3):
        reply = encoder.reply(stream)
        assert reply[:4] == bytes.fromhex("80030002")
        assert struct.unpack_from(">I", reply, 8) == (stream,)
        assert inflate.decompress(reply[12:]) == bytes(4)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n",
        struct.pack(">HHI", 0x8002, 1, 0),
        control(1, bytes(10) + b"not compressed"),
        control(6, b""),
        spdy.data(1, b"")[:4] + b"\x00\xff\xff\xff",
    ],
)
def test_what_is_not_spdy_is_refused(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(sent))


def test_headers_are_not_inflated_without_bounds() -> None:
    with pytest.raises(ProtocolError, match="too many headers"):
        list(Decoder().feed(Client().open(1, {"a": "x" * 1_000_000})))
