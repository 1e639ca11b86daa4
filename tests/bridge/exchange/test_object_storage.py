"""Where finished stems lie: a folder of ours, Azure Blob (Azurite) and S3 (moto), each a real one."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import pytest

from bridge.errors import StartupError, StorageFull, StorageUnavailable
from bridge.exchange.object_storage import LocalFolder, ObjectStorage, Storage, open_storage, stem_key
from bridge.settings import Settings
from tests.object_storage import BUCKET, CONTAINER, KEY, free_port

AUDIO = b"RIFF" + bytes(range(256)) * 64
STEM = stem_key("request 1", "guitar", "ab" * 16)


@pytest.fixture
def azure(azurite: str, tmp_path: Path) -> Storage:
    return open_storage(Settings(data_dir=tmp_path, azure_connection_string=azurite, storage_container=CONTAINER))


@pytest.fixture
def amazon(bucket: str, tmp_path: Path) -> Storage:
    return open_storage(Settings(data_dir=tmp_path, storage_url=bucket))


async def fetched(url: str) -> tuple[int, str, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.content_type, await response.read()


@pytest.mark.parametrize("text", ["../../etc/passwd", "/etc/passwd", "a\\..\\b", "\0", "🎸", "", "x" * 5000, "\ud800"])
def test_no_text_of_a_request_leaves_the_folder(tmp_path: Path, text: str) -> None:
    folder = LocalFolder(tmp_path)
    key = stem_key(text, text, "ab" * 16)
    assert folder.path(key).resolve().parents[1] == tmp_path
    assert stem_key(text, "bass", "ab" * 16).partition("/")[0] == key.partition("/")[0]


@pytest.mark.parametrize("key", ["../x", "a/b.wav", f"{'a' * 32}/../x-{'ab' * 16}.wav", f"{'a' * 32}/x.wav", ""])
def test_what_is_no_key_has_no_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        LocalFolder(tmp_path).path(key)


async def test_a_folder_keeps_what_it_is_given_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "stems")
    await folder.check()
    await folder.put(STEM, b"old")
    await folder.put(STEM, AUDIO)
    assert folder.path(STEM).read_bytes() == AUDIO
    assert await folder.url(STEM, "http://studio:5001") == f"http://studio:5001/stems/{STEM}"
    assert [path.suffix for path in (tmp_path / "stems").rglob("*") if path.is_file()] == [".wav"]
    await folder.forget("request 1")
    await folder.forget("never seen")
    assert not list((tmp_path / "stems").iterdir())


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "stems").write_text("a file where the folder belongs")
    folder = LocalFolder(tmp_path / "stems")
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        await folder.put(STEM, AUDIO)
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        await folder.check()


async def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="Free some space"):
        await LocalFolder(tmp_path).put(STEM, AUDIO)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.extra
async def test_azure_keeps_a_stem_and_hands_out_an_address_that_reads_it_alone(azure: Storage) -> None:
    await azure.check()
    await azure.put(STEM, b"old")
    await azure.put(STEM, AUDIO)
    url = await azure.url(STEM, "http://not.used")
    assert await fetched(url) == (200, "audio/wav", AUDIO)
    assert (await fetched(url.partition("?")[0]))[0] >= 400
    assert (await fetched(url.replace("guitar", "guitar2")))[0] >= 400
    async with aiohttp.ClientSession() as session, session.put(url, data=b"x") as refused:
        assert refused.status >= 400
    assert KEY not in url


async def test_s3_keeps_a_stem_and_hands_out_a_presigned_address(amazon: Storage) -> None:
    await amazon.check()
    await amazon.put(STEM, b"old")
    await amazon.put(STEM, AUDIO)
    url = await amazon.url(STEM, "http://not.used")
    assert f"/{BUCKET}/below/{STEM}?" in url
    assert "X-Amz-Expires=604800" in url
    assert await fetched(url) == (200, "audio/wav", AUDIO)


async def test_a_stem_of_many_megabytes_arrives_whole(amazon: Storage) -> None:
    long = os.urandom(1 << 20) * 21
    await amazon.put(STEM, long)
    assert (await fetched(await amazon.url(STEM, "")))[2] == long


@pytest.mark.extra
async def test_a_container_that_is_not_there_is_said(azurite: str, tmp_path: Path) -> None:
    storage = open_storage(Settings(data_dir=tmp_path, azure_connection_string=azurite))
    with pytest.raises(StorageUnavailable, match="Create it"):
        await storage.put(STEM, AUDIO)
    with pytest.raises(StorageUnavailable, match="Create it"):
        await storage.check()


@pytest.mark.extra
async def test_a_wrong_key_is_refused_with_a_sentence_without_it(azurite: str, tmp_path: Path) -> None:
    wrong = azurite.replace(KEY, "d3Jvbmc=")
    settings = Settings(data_dir=tmp_path, azure_connection_string=wrong, storage_container=CONTAINER)
    with pytest.raises(StorageUnavailable, match="refuses these credentials") as caught:
        await open_storage(settings).put(STEM, AUDIO)
    assert "d3Jvbmc" not in caught.value.message


async def test_a_storage_that_is_down_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    import datetime

    import obstore.store

    once = {"max_retries": 0, "retry_timeout": datetime.timedelta(seconds=1)}
    store = obstore.store.S3Store(
        "bucket", endpoint=f"http://127.0.0.1:{free_port()}", access_key_id="a", secret_access_key="b",
        region="us-east-1", client_options={"allow_http": True}, retry_config=once,
    )  # fmt: skip
    with pytest.raises(StorageUnavailable, match="did not take the file"):
        await ObjectStorage(store, "s3 storage", 1).put(STEM, AUDIO)


@pytest.mark.parametrize(
    "given",
    [
        {"azure_connection_string": "nonsense"},
        {"azure_connection_string": "AccountName=someone;SharedAccessSignature=sv=1"},
        {"azure_connection_string": "AccountName=someone;AccountKey=not base64!"},
        {"azure_account_url": "https://name.blob.core.windows.net", "storage_url": "s3://bucket"},
    ],
)
def test_settings_that_cannot_be_meant_end_the_start(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(StartupError) as caught:
        open_storage(Settings(data_dir=tmp_path, **given))
    assert "not base64" not in caught.value.message


@pytest.mark.parametrize("url", ["bucket", "http://bucket", "az://account/container", "s3://", "s3://b/../../x y"])
def test_an_address_of_no_storage_is_refused_by_the_settings(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/folder"):
        Settings(storage_url=url)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://studio.blob.core.windows.net", "studio"),
        ("https://studio.blob.core.windows.net/", "studio"),
        ("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1"),
    ],
)
def test_an_account_url_names_its_account(tmp_path: Path, url: str, account: str) -> None:
    storage = open_storage(Settings(data_dir=tmp_path, azure_account_url=url))
    assert isinstance(storage, ObjectStorage)
    assert storage._store.config["account_name"] == account


def test_the_default_is_a_folder_of_the_data_folder(tmp_path: Path) -> None:
    storage = open_storage(Settings(data_dir=tmp_path))
    assert isinstance(storage, LocalFolder)
    assert storage.path(STEM).is_relative_to(tmp_path / "stems")
