"""The callers' side: create flows, read them, wait for them and watch them.

`AsyncClient` speaks REST and WebSocket; `Client` is the same for code without an event loop.

Whatever goes wrong arrives as one of bullflow's own errors: `ServiceAway` when nobody answers,
`NotFound` for a flow or job that is not there, `ApiError` for every other problem that the service
names. A watch outlives lost connections: it comes back by itself and asks on from the last entry
that it has handed out, so the caller sees each entry once, in order, whatever the network does.
"""

from bullflow.client.asynchronous import AsyncClient
from bullflow.client.blocking import Client

__all__ = ["AsyncClient", "Client"]
