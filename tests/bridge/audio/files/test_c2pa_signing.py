"""Signing with a certificate of one's own, made here."""

from __future__ import annotations

import datetime
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.audio.facts import SampleFacts
from bridge.audio.files import codecs, delivery, tags
from bridge.audio.files.c2pa_signing import open_signer, read_signature
from bridge.audio.formats import FORMATS
from bridge.errors import StartupError
from bridge.plugins.clip import Clip
from bridge.settings import Settings
from bridge.sounds.opening import open_service

pytestmark = pytest.mark.extra
pytest.importorskip("c2pa", reason="the c2pa extra is not installed")

from cryptography import x509  # noqa: E402  comes with the extra
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: E402

SIGNED = [name for name in FORMATS if name != "ogg"]


def named(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def issue(folder: Path, key: object, name: str = "signer") -> tuple[Path, Path]:
    """A chain as C2PA wants it, and its key, as PEM files."""
    authority, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)

    def certificate(subject: str, public: object, *, is_authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("Authority"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )
        if not is_authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return builder.sign(authority, hashes.SHA256())

    chain = [certificate("A live coder", key.public_key(), is_authority=False),
             certificate("Authority", authority.public_key(), is_authority=True)]  # fmt: skip
    pem = serialization.Encoding.PEM
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(b"".join(each.public_bytes(pem) for each in chain))
    paths[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return issue(tmp_path_factory.mktemp("c2pa"), ec.generate_private_key(ec.SECP256R1()))


def delivered(folder: Path, extension: str, sign: delivery.Sign | None) -> bytes:
    pcm = codecs.to_pcm(Clip.of(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 9001)), 44100))
    codecs.write_master(folder / "master.wav", pcm, 44100)
    facts = {"prompt": "dusty", "engine": "musicgen", "kind": "loop", "digital_source_type": "trainedAlgorithmicMedia"}
    sample = delivery.Described(codecs.sample_id(pcm, 44100), 44100, 2, 9001, SampleFacts.of(facts))
    return delivery.FileMaker(sign=sign).deliver(folder / "master.wav", extension, sample)


@pytest.mark.parametrize("extension", SIGNED)
def test_a_signed_file_sounds_the_same_keeps_its_tags_and_holds(pair, tmp_path: Path, extension: str) -> None:
    signed, plain = (delivered(tmp_path, extension, sign) for sign in (open_signer(*pair), None))
    assert (tags.is_signed(signed), tags.is_signed(plain)) == (True, False)
    assert np.array_equal(*(soundfile.read(io.BytesIO(data))[0] for data in (signed, plain)))
    assert tags.read(signed) == tags.read(plain)
    found = read_signature(signed, FORMATS[extension].content_type)
    assert (found["state"], found["signed_by"]) == ("Valid", "A live coder")
    assert found["made_by"].startswith("sample-bridge ")
    assert found["findings"] == ["signingCredential.untrusted"], "nobody trusts this authority"
    assert b"trainedAlgorithmicMedia" in signed


def test_a_byte_that_is_changed_breaks_the_signature(pair, tmp_path: Path) -> None:
    signed = bytearray(delivered(tmp_path, "wav", open_signer(*pair)))
    signed[1000] ^= 1
    assert read_signature(bytes(signed), "audio/wav")["state"] == "Invalid"
    assert read_signature(delivered(tmp_path, "wav", None), "audio/wav") is None


def test_ogg_is_delivered_unsigned(pair, tmp_path: Path) -> None:
    assert delivered(tmp_path, "ogg", open_signer(*pair)) == delivered(tmp_path, "ogg", None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
    ids=["p384", "ed25519", "rsa"],
)
def test_every_usual_kind_of_key_signs(tmp_path: Path, make) -> None:
    data = delivered(tmp_path, "wav", open_signer(*issue(tmp_path, make())))
    assert read_signature(data, "audio/wav")["state"] == "Valid"


def test_what_cannot_sign_is_said_at_the_start(pair, tmp_path: Path) -> None:
    certificate, key = pair
    other = issue(tmp_path, ec.generate_private_key(ec.SECP256R1()), "other")[1]
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    cases = {
        (None, key): "BRIDGE_C2PA_CERTIFICATE",
        (certificate, None): "BRIDGE_C2PA_KEY",
        (certificate, tmp_path / "missing"): "cannot be read",
        (certificate, text): "not a readable private key",
        (text, key): "do not sign",
        (certificate, other): "do not sign",
    }
    for given, words in cases.items():
        with pytest.raises(StartupError, match=words):
            open_signer(*given)
    assert open_signer(None, None) is None


async def test_the_service_signs_what_it_delivers(pair, tmp_path: Path) -> None:
    from bridge.sounds.orders import generate_order

    settings = Settings(
        data_dir=tmp_path / "data", engine="tone", pregenerate=False, c2pa_certificate=pair[0], c2pa_key=pair[1]
    )
    async with open_service(settings) as service:
        order, _ = generate_order({"prompt": "tone 200 hz", "duration": 0.1})
        sample = (await service.make(order)).sample
        for extension in SIGNED:
            data = (await service.library.audio(sample.sample_id, extension)).read_bytes()
            assert read_signature(data, FORMATS[extension].content_type)["state"] == "Valid"
        assert not tags.is_signed(service.library._store.master(sample.sample_id).read_bytes())


def test_without_a_certificate_the_package_is_not_loaded() -> None:
    script = "import sys, bridge.app; print('c2pa' in sys.modules, 'cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
