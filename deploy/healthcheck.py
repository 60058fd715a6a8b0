"""Whether the Veza of this container is alive: its exit code says so. A worker is asked at its own port."""

import http.client
import os
import sys

port = os.environ.get("VEZA_WORKER_PORT") or os.environ.get("VEZA_PORT") or "8080"
try:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=4)
    connection.request("GET", "/healthz")
    sys.exit(connection.getresponse().status != http.client.OK)
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"{type(error).__name__}: {error}")
