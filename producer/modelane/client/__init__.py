"""The client: submit rows, get a future.  One implementation serves threads and asyncio."""

from modelane.client.client import Client

__all__ = ["Client"]
