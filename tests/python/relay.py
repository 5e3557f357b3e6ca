"""Passes TCP connections on, for hosts that are to meet a server which listens elsewhere.

    python relay.py HOST:PORT TARGET [HOST:PORT TARGET …]      TARGET: HOST:PORT, or a socket's path

Prints `ready` and serves until it is killed.
"""

import asyncio
import sys


async def pump(reader, writer):
    try:
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(address, target):
    async def relay(reader, writer):
        try:
            if target.startswith("/"):
                far_reader, far_writer = await asyncio.open_unix_connection(target)
            else:
                far_reader, far_writer = await asyncio.open_connection(*target.rsplit(":", 1))
        except OSError:
            # nobody is there: the caller is told at once
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return await asyncio.start_server(relay, *address.rsplit(":", 1))


async def main(pairs):
    servers = [await serve(address, target) for address, target in zip(pairs[::2], pairs[1::2])]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
