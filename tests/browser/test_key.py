"""The server's key: it comes in with the address, and no code in the page finds it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.conftest import Bridge, StartBridge, Visit

KEY = "k3y-ä/?-of-the-studio"
ADDRESS_KEY = "k3y-%C3%A4%2F%3F-of-the-studio"

SEARCH = """async () => {
    const seen = new Set();
    const texts = [];
    const places = [];
    const look = (value, path, depth) => {
        if (typeof value === 'string') { texts.push([path, value]); return; }
        if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
        if (seen.has(value) || depth > 6 || seen.size > 60000) return;
        seen.add(value);
        let names = [];
        try { names = Reflect.ownKeys(value); } catch { return; }
        for (const name of names) {
            try { look(value[name], `${path}.${String(name)}`, depth + 1); } catch {}
        }
        if (value instanceof Map || value instanceof Set) for (const each of value) look(each, path + '[]', depth + 1);
    };
    look(globalThis, 'window', 0);
    for (const kept of [localStorage, sessionStorage])
        for (const name of Object.keys(kept)) texts.push([name, kept[name]]);
    texts.push(['cookie', document.cookie], ['html', document.documentElement.outerHTML], ['url', document.URL],
        ['base', document.baseURI], ['referrer', document.referrer], ['name', window.name],
        ['state', JSON.stringify(history.state)]);
    for (const entry of performance.getEntries()) texts.push(['performance', JSON.stringify(entry)]);
    for (const entry of globalThis.navigation?.entries() ?? []) texts.push(['navigation', entry.url]);
    texts.push(['activation', String(globalThis.navigation?.activation?.entry?.url)]);
    for (const entry of await (indexedDB.databases?.() ?? [])) texts.push(['database', JSON.stringify(entry)]);
    for (const name of await caches.keys()) texts.push(['cache', name]);
    for (const each of await navigator.serviceWorker.getRegistrations()) texts.push(['worker', each.scope]);
    for (const [path, text] of texts) {
        let plain = text;
        try { plain = decodeURIComponent(text); } catch {}
        if (/of-the-studio/.test(text + plain)) places.push(path);
    }
    return places;
}"""


async def keyed_bridge(start_bridge: StartBridge, folder: Path) -> Bridge:
    (folder / "key.toml").write_text(f'api_key = "{KEY}"\n', encoding="utf-8")
    return await start_bridge("--engine", "tone", "--no-pregenerate", "--config", str(folder / "key.toml"))


async def test_after_load_no_code_in_the_page_finds_the_key(
    start_bridge: StartBridge, visit: Visit, tmp_path: Path
) -> None:
    bridge = await keyed_bridge(start_bridge, tmp_path)
    page = visit.page
    await visit.open(f"{bridge.url}/#token={ADDRESS_KEY}")
    assert await page.evaluate(SEARCH) == []
    visit.errors.clear()  # of getters that were looked into
    assert page.url == f"{bridge.url}/"
    # What code does find is of no use elsewhere: the cookie is none of its business.
    cookies = await page.context.cookies(bridge.url)
    assert [(each["name"], each["httpOnly"], each["sameSite"], each["path"]) for each in cookies] == [
        (f"sample_bridge_{bridge.port}", True, "Strict", "/")
    ]
    assert KEY not in cookies[0]["value"]
    # Hooks that a pattern leaves behind hear nothing of it either: connections and calls go on without it.
    heard = await page.evaluate(
        """async () => {
            const heard = [];
            const send = WebSocket.prototype.send;
            WebSocket.prototype.send = function (data) { heard.push(String(data)); return send.call(this, data); };
            const fetched = globalThis.fetch;
            globalThis.fetch = (...given) => { heard.push(JSON.stringify(given)); return fetched(...given); };
            const made = await sampleBridge.generateMusic({ prompt: 'tone 300 hz', duration: 0.3 });
            new BroadcastChannel('sample-bridge.session').postMessage('again');
            await new Promise((resolve) => setTimeout(resolve, 1500));
            return [made.success, sampleBridge.state, heard];
        }"""
    )
    assert heard[:2] == [True, "online"]
    assert any("hello" in each for each in heard[2])
    assert not any("of-the-studio" in each for each in heard[2])
