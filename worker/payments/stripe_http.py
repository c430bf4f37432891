"""The stripe library's async HTTP client, held to this project's limits.

Importing this imports stripe (350 ms), so only ``sessions`` does, when it first calls.
"""

import logging
from collections.abc import AsyncIterable, Mapping
from typing import Final

import stripe

MAX_BODY: Final = 8 * 1024 * 1024

# Both are the library's only switches, and global: no host name and timings to Stripe, and no answers (they hold
# payable URLs) in a debug log.
stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)


class BoundedClient(stripe.HTTPXClient):
    """Follows no redirects (httpx's default), unpacks nothing, and reads at most ``MAX_BODY``."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        plain_only = {**headers, "Accept-Encoding": "identity"}
        content, status, answered = await self.request_stream_async(method, url, plain_only, post_data)
        if answered.get("content-encoding", "identity").lower() != "identity":
            raise ValueError("the answer came in an encoding that was not asked for")
        return await self._bounded(content), status, answered

    async def _bounded(self, content: AsyncIterable[bytes]) -> bytes:
        body = bytearray()
        try:
            async for piece in content:
                body += piece
                if len(body) > MAX_BODY:
                    break
            else:
                return bytes(body)
        except Exception as error:
            self._handle_request_error(error)
        raise ValueError(f"the answer is larger than {MAX_BODY // 1024} KiB")

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client_async.aclose()
