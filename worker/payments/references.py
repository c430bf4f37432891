"""What in a checkout session may name a proration or a tenant.

Which metadata keys Crovver sets besides ``event_type`` is not documented, so every value counts.
"""

from collections.abc import Mapping
from typing import Final

from worker.payments.document import is_text

MOST: Final = 50


def references_of(metadata: Mapping[str, object] | None, client_reference_id: object) -> tuple[str, ...]:
    """``client_reference_id`` and up to 50 metadata values, each 1 to 255 characters, none twice."""
    values = [value for value in (metadata or {}).values() if is_text(value)][:MOST]
    first = [client_reference_id] if is_text(client_reference_id) else []
    return tuple(dict.fromkeys(str(value) for value in (*first, *values)))
