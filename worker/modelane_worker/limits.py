"""What one lane may take, and how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings of the same names."""

    max_batch_requests: int
    max_batch_rows: int
    max_batch_bytes: int
    max_request_bytes: int
    max_attempts: int
    lease_s: float
    tick_s: float
    result_ttl_s: float
