"""Uploads a file with tuspy, and keeps the URL in a file so that another process can continue.

Arguments: the endpoint, a token, the file, the file of URLs, and more options of the uploader as JSON.
Prints one line for each event: `resumed`, `accepted BYTES`, `done FILE_ID`.
"""

import json
import sys

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

endpoint, token, file, kept, options = sys.argv[1:]
client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
uploader = client.uploader(
    file,
    chunk_size=3 * 1024 * 1024,
    metadata={"filename": "Grüße.bin"},
    store_url=True,
    url_storage=FileStorage(kept),
    **json.loads(options),
)
if uploader.url:
    print("resumed", flush=True)
while uploader.offset < uploader.stop_at:
    uploader.upload_chunk()
    print("accepted", uploader.offset, flush=True)
print("done", uploader.request.response_headers["plinth-file-id"], flush=True)
