"""A stand-in for pg_net's background worker: ``python -m local.supabase.pg_net``.

One worker: takes up to 200 requests, sends them all at once, waits for the slowest, writes what
came back, naps a second. Nothing is tried again, and a timeout of 0 is none at all. A crash between
sending and committing sends the batch twice, a crash of the database empties the queue: both as
with the real one. ``net.worker_restart()`` starts a worker anew that hangs or stands still.
"""

import asyncio
import contextlib
import json
import os
from typing import Any

import httpx
import psycopg
from psycopg.rows import namedtuple_row

BATCH = 200
NAP_SECONDS = 1.0
TTL = "6 hours"
USER_AGENT = "pg_net/0.19.5"

_TAKE = """
delete from net.http_request_queue where id in
  (select id from net.http_request_queue order by id limit %s)
returning id, method, url, headers, body, timeout_milliseconds
"""
_STORE = """
insert into net._http_response
  (id, status_code, content_type, headers, content, timed_out, error_msg)
values (%s, %s, %s, %s, %s, %s, %s)
"""
_FORGET = "delete from net._http_response where created < now() - %s::interval"


async def send(client: httpx.AsyncClient, request: Any) -> tuple[Any, ...]:
    """One request, once -> the values of its row in ``net._http_response``."""
    seconds = request.timeout_milliseconds / 1000 or None
    try:
        async with asyncio.timeout(seconds):  # in all, from the name's look-up to the last byte
            answer = await client.request(
                request.method,
                request.url,
                headers={"User-Agent": USER_AGENT} | (request.headers or {}),
                content=request.body,
            )
    except TimeoutError:
        message = f"Timeout of {request.timeout_milliseconds} ms reached."
        return request.id, None, None, None, None, True, message
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return request.id, None, None, None, None, False, str(exc) or type(exc).__name__
    kind, headers = answer.headers.get("content-type"), json.dumps(dict(answer.headers))
    return request.id, answer.status_code, kind, headers, answer.text, False, None


async def send_batch(connection: psycopg.AsyncConnection[Any], client: httpx.AsyncClient) -> int:
    """Take, send and record one batch, in one transaction -> how many requests."""
    async with connection.transaction(), connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(_FORGET, (TTL,))
        await cursor.execute(_TAKE, (BATCH,))
        requests = await cursor.fetchall()
        responses = await asyncio.gather(*(send(client, request) for request in requests))
        if responses:
            await cursor.executemany(_STORE, responses)
        return len(requests)


async def serve(database_url: str) -> None:
    """Send for ever, and do as ``net.worker_restart()`` says; a lost database is waited for."""
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=None, limits=unlimited, follow_redirects=True) as client:
        while True:
            with contextlib.suppress(psycopg.Error):
                await _obey(database_url, client)
            await asyncio.sleep(NAP_SECONDS)


async def _obey(database_url: str, client: httpx.AsyncClient) -> None:
    """One worker: ``stop`` ends it in the middle of a batch, ``restart`` starts another."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as control:
        await control.execute("listen pg_net_worker")
        worker = asyncio.create_task(_work(database_url, client))
        try:
            async for order in control.notifies():
                await _end(worker)
                if order.payload == "restart":
                    worker = asyncio.create_task(_work(database_url, client))
        finally:
            await _end(worker)


async def _end(worker: "asyncio.Task[None]") -> None:
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError, psycopg.Error):
        await worker


async def _work(database_url: str, client: httpx.AsyncClient) -> None:
    """Send while the database is there; after an error of its own, start again."""
    while True:
        with contextlib.suppress(psycopg.Error):
            await _work_while_connected(database_url, client)
        await asyncio.sleep(NAP_SECONDS)


async def _work_while_connected(database_url: str, client: httpx.AsyncClient) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("listen pg_net")
        while True:
            while await send_batch(connection, client):
                await asyncio.sleep(NAP_SECONDS)
            async for _ in connection.notifies(timeout=60, stop_after=1):
                pass


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(os.environ["LOCAL_DATABASE_URL"]))
