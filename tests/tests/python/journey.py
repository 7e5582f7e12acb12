"""The journey with the generated client: journey.py API_URL MAILBOX_URL."""

import hashlib
import io
import json
import struct
import sys
import time
import urllib.request
import uuid
import zlib

from plinth_client import AuthenticatedClient, Client
from plinth_client.api.account import change_me, read_me
from plinth_client.api.audit import list_audit_events
from plinth_client.api.authentication import login, logout, refresh, register, verify_email
from plinth_client.api.files import delete_file, list_files, read_file, read_file_content, read_file_variant, upload_file
from plinth_client.api.notifications import list_notifications
from plinth_client.models import (
    ChangeMeRequest,
    LoginRequest,
    Problem,
    RefreshRequest,
    RegisterRequest,
    SessionTokens,
    UploadFileBody,
    VerifyEmailRequest,
)
from plinth_client.types import File

PASSWORD = "correct horse battery"


def until(what, ask):
    """Repeats a call until it returns a value."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


def png(width, height):
    """Returns a red PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = (b"\0" + b"\xff\0\0" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def refused(response, status, code):
    """Asserts that every operation refuses with the typed problem."""
    assert response.status_code == status, response
    problem = response.parsed
    assert isinstance(problem, Problem), response
    assert (problem.status, problem.code) == (status, code), problem
    assert problem.request_id and problem.title, problem
    return problem


def mailed_token(mailbox_url, email):
    def ask():
        with urllib.request.urlopen(f"{mailbox_url}/messages?to={email}") as answer:
            return json.load(answer)

    text = until("the mail arrives", ask)[0]["text"]
    return text.split("token=")[1].split()[0]


def main(api_url, mailbox_url):
    anybody = Client(base_url=api_url)
    email = f"ada-{uuid.uuid4().hex}@example.org"

    problem = refused(
        register.sync_detailed(client=anybody, body=RegisterRequest(email="nobody", password="short")),
        422,
        "validation_failed",
    )
    assert sorted(fault.pointer for fault in problem.errors) == ["/email", "/password"], problem
    answer = register.sync_detailed(
        client=anybody, body=RegisterRequest(email=email, password=PASSWORD, display_name="Ada")
    )
    assert answer.status_code == 202, answer
    refused(
        login.sync_detailed(client=anybody, body=LoginRequest(email=email, password="another password")),
        401,
        "invalid_credentials",
    )
    token = mailed_token(mailbox_url, email)
    answer = verify_email.sync_detailed(client=anybody, body=VerifyEmailRequest(token=token, password=PASSWORD))
    assert answer.status_code == 204, answer
    tokens = login.sync(client=anybody, body=LoginRequest(email=email, password=PASSWORD))
    assert isinstance(tokens, SessionTokens), tokens
    ada = AuthenticatedClient(base_url=api_url, token=tokens.access_token)

    me = read_me.sync(client=ada)
    assert (me.email, me.display_name) == (email, "Ada"), me
    assert "files:read" in me.permissions and me.email_verified_at is not None, me
    assert change_me.sync(client=ada, body=ChangeMeRequest(display_name=None)).display_name is None
    assert read_me.sync(client=ada).display_name is None

    picture = png(400, 200)
    part = File(payload=io.BytesIO(picture), file_name="red.png", mime_type="image/png")
    file = upload_file.sync(client=ada, body=UploadFileBody(file=part))
    assert (file.name, file.content_type, file.size) == ("red.png", "image/png", len(picture)), file
    assert file.sha256 == hashlib.sha256(picture).hexdigest(), file
    assert [variant.state for variant in file.variants] == ["pending", "pending"], file

    def ready():
        seen = read_file.sync(client=ada, id=file.id)
        return all(variant.state == "ready" for variant in seen.variants) and seen

    variants = {variant.preset: variant for variant in until("the variants are ready", ready).variants}
    assert (variants["small"].width, variants["small"].height) == (256, 128), variants
    assert [item.id for item in list_files.sync(client=ada).items] == [file.id]
    content = read_file_content.sync(client=ada, id=file.id)
    assert content.payload.read() == picture
    small = read_file_variant.sync(client=ada, id=file.id, preset="small")
    assert len(small.payload.read()) == variants["small"].size
    refused(read_file.sync_detailed(client=ada, id=uuid.uuid4()), 404, "not_found")

    inbox = until("the notification is there", lambda: list_notifications.sync(client=ada).items)
    assert (inbox[0].kind, inbox[0].subject, inbox[0].read_at) == ("file.processed", str(file.id), None), inbox
    refused(list_audit_events.sync_detailed(client=ada), 403, "permission_denied")
    assert delete_file.sync_detailed(client=ada, id=file.id).status_code == 204

    next_tokens = refresh.sync(client=anybody, body=RefreshRequest(refresh_token=tokens.refresh_token))
    assert isinstance(next_tokens, SessionTokens) and next_tokens.session_id == tokens.session_id, next_tokens
    ada = AuthenticatedClient(base_url=api_url, token=next_tokens.access_token)
    assert logout.sync_detailed(client=ada).status_code == 204
    refused(read_me.sync_detailed(client=ada), 401, "session_ended")


main(*sys.argv[1:])
