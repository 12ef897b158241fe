"""The client: submit rows, get a future; the same for threads and for asyncio.

    with Client() as client:
        answer = client.predict("breast-cancer", rows)
        answer.values, answer.version

:mod:`modelane.client.client` and the modules beside it are what callers see; :mod:`modelane.client.transport`
sends the requests and receives the answers.
"""

from modelane.client.client import Client

__all__ = ["Client"]
