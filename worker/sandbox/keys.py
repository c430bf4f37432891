"""Who may call: secret keys, the service key, public keys."""

from .answers import Refused, RefusedWithCode
from .config import SandboxConfig
from .public_call import PublicCall


def must_be_authorized(config: SandboxConfig, call: PublicCall, *, needs_org: bool = False) -> None:
    """Let a secret key or the service key through.

    Raises:
        Refused: 401 for a bad or missing key, 400 for a service key without ``?orgId=`` where it is needed, 404 for
            an organisation that the key does not know.
    """
    service_key = call.headers.get("x-service-key")
    if service_key is None:
        if not secret_key_is_good(config, call):
            raise Refused(401, "Invalid API key")
        return
    if service_key != config.service_key:
        raise RefusedWithCode(401, "INVALID_SERVICE_KEY", "Service key mismatch")
    if needs_org:
        org = call.query.get("orgId")
        if not org:
            raise RefusedWithCode(400, "MISSING_REQUIRED_FIELDS", "orgId is required with a service key")
        if org != config.org_id:
            raise RefusedWithCode(404, "ORGANIZATION_NOT_FOUND", "Organization not found")


def must_be_key_or_public_key(call: PublicCall, config: SandboxConfig) -> None:
    """Let a secret key or ``?publicKey=pk_test_…`` through.

    Raises:
        RefusedWithCode: 400 with neither, 401 for a bad one.
    """
    if "authorization" in call.headers:
        if not secret_key_is_good(config, call):
            raise Refused(401, "Invalid API key")
        return
    public_key = call.query.get("publicKey")
    if not public_key:
        raise RefusedWithCode(400, "MISSING_PUBLIC_KEY", "publicKey query param not provided")
    if not public_key.startswith("pk_test_"):
        raise RefusedWithCode(401, "INVALID_PUBLIC_KEY", "Public key not found or inactive")


def secret_key_is_good(config: SandboxConfig, call: PublicCall) -> bool:
    """Whether the bearer is one of the keys that are accepted; by default any ``sk_test_…``."""
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return False
    return key in config.api_keys if config.api_keys else key.startswith("sk_test_") and len(key) > len("sk_test_")
