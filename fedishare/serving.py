"""Serving: one instance behind uvicorn, in one process or several, from the first connection to an orderly end.

The socket is opened first and the instance second, so a port in use is told before anything is touched. An end by
SIGTERM takes no longer than ``server.shutdown_seconds``, whatever streams are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from uvloop import new_event_loop

from fedishare.app import opened_database, prepare_database, running, site_of
from fedishare.config import Config
from fedishare.http.call import Receive, Scope, Send
from fedishare.http.protocol import GuardedProtocol
from fedishare.model.errors import ConfigError

log = logging.getLogger(__name__)

BACKLOG = 2048
PING_SECONDS = 20.0
"""How often an open WebSocket is asked whether somebody is there: proxies end what is silent for a minute."""
RESTART_PAUSE = 1.0
"""Seconds before a worker process that ended by itself is started anew."""
Ready = Callable[[], None]


class HttpServer(uvicorn.Server):
    """uvicorn's server, which leaves signals to us and says when it takes connections."""

    def __init__(self, config: uvicorn.Config, ready: Ready, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._end_streams = end_streams

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise the signal once more, before the instance has come to its end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, end open streams, and wait for requests."""
        self._end_streams()
        await super().shutdown(sockets)


def open_socket(config: Config) -> socket.socket:
    """The socket to listen on. Raises `ConfigError` when the address cannot be had."""
    host, port = config.listen.host, config.listen.port
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise _cannot_listen(config, error) from error
    return made


def _cannot_listen(config: Config, error: OSError) -> ConfigError:
    where = config.server.listen
    if error.errno == errno.EADDRINUSE:
        sentence = f"{where} is in use by another process; stop that one, or choose another port"
    elif error.errno == errno.EACCES:
        sentence = f"{where} may not be used by this user; ports below 1024 want a TLS proxy in front or more rights"
    elif error.errno == errno.EADDRNOTAVAIL:
        sentence = f"{where} is no address of this machine"
    else:
        sentence = f"{where} cannot be listened on: {error.strerror}"
    return ConfigError(f"server.listen: {sentence}", (("server.listen", sentence),))


def serve(config: Config, sock: socket.socket, ready: Ready, *, until_eof: bool = False) -> None:
    """Run the instance on ``sock`` in this process until SIGTERM or SIGINT (or, with ``until_eof``, until standard
    input ends). Raises what opening the instance raises, before ``ready`` is called."""
    uvicorn_config(config, _no_app)  # what is wrong with certificates is told before the instance is opened
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(config, sock, ready, until_eof=until_eof))


async def _no_app(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("only for checking a configuration")


async def _serve(config: Config, sock: socket.socket, ready: Ready, *, until_eof: bool) -> None:
    async with running(config) as instance:
        server = HttpServer(uvicorn_config(config, instance.__call__), ready, instance.end_streams)
        _stop_on_signals(server, config.server.shutdown_seconds)
        if until_eof:
            _stop_at_eof(server)
        await server.serve([sock])


def uvicorn_config(config: Config, app: Callable[[Scope, Receive, Send], object]) -> uvicorn.Config:
    """What uvicorn is told. Raises `ConfigError` for a certificate that cannot be used."""
    limits, server = config.limits, config.server
    protocol = type(
        "InstanceProtocol",
        (GuardedProtocol,),
        {"header_bytes": limits.header_bytes, "head_seconds": float(limits.request_seconds)},
    )
    made = uvicorn.Config(
        app,
        http=protocol,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=list(server.trusted_proxies),
        limit_concurrency=limits.connections,
        timeout_keep_alive=limits.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, server.shutdown_seconds // 3),
        backlog=BACKLOG,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ssl_certfile=server.tls_cert,
        ssl_keyfile=server.tls_key,
        workers=1,
    )
    try:
        made.load()
    except (ssl.SSLError, OSError) as error:
        sentence = f"{server.tls_cert} and {server.tls_key} are no certificate and its key: {error}"
        raise ConfigError(f"server.tls_cert: {sentence}", (("server.tls_cert", sentence),)) from error
    return made


def _stop_on_signals(server: HttpServer, seconds: int) -> None:
    """The first signal begins an orderly end, a second one does not wait for requests; then a deadline takes over."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        deadline = threading.Timer(seconds - 0.5, _give_up, (seconds,))
        deadline.daemon = True
        deadline.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _give_up(seconds: int) -> None:
    """Whatever is still open is safe to cut: a commit is whole or not at all, and a job's lease expires."""
    log.warning("not everything ended within %d s; the rest is cut off", seconds)
    logging.shutdown()
    os._exit(1)


def _stop_at_eof(server: HttpServer) -> None:
    """Whoever started this process holds the other end of its standard input: when that closes, nobody needs us."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(0, look)


async def _prepare(config: Config) -> None:
    async with opened_database(config) as database:
        await prepare_database(database, site_of(config))


def serve_many(config: Config, sock: socket.socket, ready: Ready) -> int:
    """Several processes on one socket (PostgreSQL only), each a whole server. The exit code.

    The schema is made here, once. A process that ends by itself is started again; a signal ends all of them.
    """
    asyncio.run(_prepare(config))
    return asyncio.run(_supervise(config.path, sock, config.server.workers, config.server.shutdown_seconds, ready))


async def _supervise(path: Path, sock: socket.socket, workers: int, seconds: int, ready: Ready) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    first = [asyncio.Event() for _ in range(workers)]
    keepers = [asyncio.create_task(_keep(path, sock.fileno(), stopping, seconds, up)) for up in first]
    told = asyncio.create_task(_tell(first, ready))
    codes = await asyncio.gather(*keepers)
    told.cancel()
    return max(codes)


async def _tell(first: list[asyncio.Event], ready: Ready) -> None:
    for up in first:
        await up.wait()
    ready()


async def _keep(path: Path, fd: int, stopping: asyncio.Event, seconds: int, up: asyncio.Event) -> int:
    """One worker process, started again until it is time to stop. 0, or 1 when it never came up or had to be killed."""
    command = [sys.executable, "-m", "fedishare", "serve", "-c", str(path), "--fd", str(fd)]
    while True:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, pass_fds=(fd,)
        )
        if process.stdout is not None and await process.stdout.readline():
            up.set()
        ended = asyncio.create_task(process.wait())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not ended.done():
            process.terminate()
            return await _wait_for_end(process, ended, seconds)
        if stopping.is_set():
            return 0
        if not up.is_set() and ended.result() >= 0:  # it says why it cannot; one that was killed says nothing of that
            stopping.set()
            return 1
        log.error("worker process %d ended with %s; starting another", process.pid, ended.result())
        await asyncio.sleep(RESTART_PAUSE)


async def _wait_for_end(process: asyncio.subprocess.Process, ended: asyncio.Task[int], seconds: int) -> int:
    try:
        await asyncio.wait_for(asyncio.shield(ended), seconds)
    except TimeoutError:
        process.kill()
        await ended
        return 1
    return 0
