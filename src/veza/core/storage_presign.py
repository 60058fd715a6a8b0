"""Addresses of S3 that carry their own permission: signature version 4 in the query.

Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """What signs requests to one region."""

    key_id: str
    secret: str
    region: str
    session_token: str = ""

    def __repr__(self) -> str:
        """The public half alone."""
        return f"Credentials({self.key_id!r}, {self.region!r})"


def presign(
    url: str, credentials: Credentials, at: datetime, expires: timedelta, headers: Mapping[str, str]
) -> str:
    """The address ``url`` of an object, good for a GET from ``at`` on for so long.

    The answer bears ``headers`` (S3 knows Content-Type, Content-Disposition, Cache-Control and few others).
    """
    day, second = f"{at:%Y%m%d}", f"{at:%Y%m%dT%H%M%SZ}"
    scope = f"{day}/{credentials.region}/s3/aws4_request"
    fields = {f"response-{name.lower()}": value for name, value in headers.items()} | {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.key_id}/{scope}",
        "X-Amz-Date": second,
        "X-Amz-Expires": str(int(expires.total_seconds())),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        fields["X-Amz-Security-Token"] = credentials.session_token
    query = urlencode(sorted(fields.items()), quote_via=quote, safe="")
    parts = urlsplit(url)
    request = f"GET\n{parts.path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{second}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{url}?{query}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
