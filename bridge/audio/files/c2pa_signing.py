"""C2PA: delivered files signed with the user's own certificate (optional extra ``c2pa``).

Content Credentials as C2PA 2 writes them: who signed, with which program it was made, and IPTC's digital source type,
over the whole file with all its tags. Ogg cannot hold them. Nothing here asks the network: no time stamp is fetched,
and no manifest of a stranger's file is looked up anywhere.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge import __version__
from bridge.audio.files.delivery import Sign
from bridge.audio.files.provenance import PROGRAM
from bridge.audio.formats import FORMATS
from bridge.errors import StartupError

_UNSIGNED = ("ogg",)
_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


def open_signer(certificate: Path | None, key: Path | None) -> Sign | None:
    """Read certificate and key and try them; None where neither is set.

    Raises StartupError when one of them is missing, unreadable, or does not fit the other.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "BRIDGE_C2PA_CERTIFICATE" if certificate is None else "BRIDGE_C2PA_KEY"
        raise StartupError(f"Signing needs a certificate and its key: set {missing} too.", code="c2pa_incomplete")
    sign = _signer(_read(certificate), _read(key), key)
    try:
        sign(_SILENCE, "wav", {"prompt": "", "engine": {}, "digital_source_type_uri": ""})
    except Exception as error:
        raise StartupError(
            f"{certificate} and {key} do not sign ({error}). Give a chain whose first certificate belongs to the key "
            "and may sign; docs/provenance.md says what C2PA asks for.",
            code="c2pa_refused",
        ) from None
    return sign


def read_signature(data: bytes, content_type: str) -> dict[str, Any] | None:
    """Say who signed a file, with what, and whether it holds; None when it has no signature.

    ``state`` is "Valid", "Invalid" or "Trusted" as c2pa judges it, or "unknown" where the extra is not installed.
    """
    try:
        import c2pa
    except ImportError:
        return {"state": "unknown", "why": "install sample-bridge[c2pa] to check it"}
    offline = c2pa.Context(c2pa.Settings.from_dict(_OFFLINE))
    try:
        with c2pa.Reader(content_type, io.BytesIO(data), context=offline) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        return None if "ManifestNotFound" in str(error) else {"state": "Invalid", "why": str(error)}
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    generators = manifest.get("claim_generator_info") or [{}]
    return {
        "state": store.get("validation_state", "unknown"),
        "signed_by": manifest.get("signature_info", {}).get("common_name")
        or manifest.get("signature_info", {}).get("issuer"),
        "made_by": " ".join(str(generators[0].get(field, "")) for field in ("name", "version")).strip(),
        "findings": [found.get("code") for found in store.get("validation_status", [])],
    }


def _signer(certificate: bytes, key: bytes, key_path: Path) -> Sign:
    try:
        import c2pa
    except ImportError:
        raise StartupError(
            "Signing needs the extra c2pa: pip install 'sample-bridge[c2pa]', or take BRIDGE_C2PA_CERTIFICATE away.",
            code="c2pa_missing",
        ) from None
    algorithm = _algorithm(key, key_path)

    def sign(data: bytes, extension: str, found: Mapping[str, Any]) -> bytes:
        if extension in _UNSIGNED:
            return data
        signed = io.BytesIO()
        info = c2pa.C2paSignerInfo(alg=algorithm, sign_cert=certificate, private_key=key, ta_url=None)
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(_manifest(found)) as builder:
            builder.sign(signer, FORMATS[extension].content_type, io.BytesIO(data), signed)
        return signed.getvalue()

    return sign


def _manifest(found: Mapping[str, Any]) -> dict[str, Any]:
    engine = found["engine"]
    created: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": found["digital_source_type_uri"],
        "softwareAgent": {"name": engine.get("model") or engine.get("name") or PROGRAM},
    }
    return {
        "claim_generator_info": [{"name": PROGRAM, "version": __version__}],
        "title": found["prompt"] or PROGRAM,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _algorithm(key: bytes, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise StartupError(
            f"{path} is not a readable private key ({error}). Give a PEM file without a password.",
            code="c2pa_refused",
        ) from None
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES:
        return _CURVES[private.curve.name]
    raise StartupError(
        f"{path} is a key that C2PA does not know. Make one of P-256, Ed25519 or RSA.", code="c2pa_refused"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror}). Check its name.", code="c2pa_refused") from None


_SILENCE = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0data\x02\0\0\0\0\0"
"""A WAV file of one sample, to try a certificate on."""
