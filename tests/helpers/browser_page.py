"""Show a page in the system's Chromium through Playwright, and print its title once the page has set it:

    python browser_page.py CHROMIUM URL [PROXY] [HAR]    PROXY: "" for none. HAR: every request is answered from that file

It is a separate program because Playwright needs a thread without an event loop.
"""

from __future__ import annotations

import sys

from playwright.sync_api import sync_playwright

FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync"""


def main(chromium: str, url: str, proxy: str = "", har: str = "") -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=FLAGS.split(),
            proxy={"server": proxy, "bypass": "<-loopback>"} if proxy else None,
        )
        context = browser.new_context(ignore_https_errors=True)
        if har:
            context.route_from_har(har, not_found="abort")
        page = context.new_page()
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(f"failed: {request.method} {request.url}"))
        page.on("console", lambda message: failed.append(message.text))
        page.on("pageerror", lambda error: failed.append(str(error)))
        try:
            page.goto(url, timeout=60_000)
            page.wait_for_function("document.title != 'loading'", timeout=60_000)
        finally:
            print(*failed, sep="\n", file=sys.stderr)
        print(page.title())
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
