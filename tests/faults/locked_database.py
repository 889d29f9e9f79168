"""A database that another process holds for itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Another process holds the calls and the customers for itself."""
    if url.startswith("sqlite"):
        program = (
            "import sqlite3, sys;"
            "c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30);"
            "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()"
        )
        arguments = [program, url.removeprefix("sqlite:///")]
    else:
        program = (
            "import asyncio, asyncpg, sys\n"
            "async def hold():\n"
            "    c = await asyncpg.connect(sys.argv[1])\n"
            "    async with c.transaction():\n"
            "        await c.execute('LOCK TABLE customers, calls IN ACCESS EXCLUSIVE MODE')\n"
            "        print('locked', flush=True)\n"
            "        await asyncio.to_thread(sys.stdin.read)\n"
            "asyncio.run(hold())"
        )
        arguments = [program, url]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"locked\n"
        yield
    finally:
        await process.communicate(b"")
