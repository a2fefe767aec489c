"""Find credentials in text that is stored and shown: locations, options of engines, messages.

One pattern serves every place that takes such text. It is written without flags, so that the JSON
schema behind a form, whose expressions have none, can hold it as it is.
"""

import re
from typing import Final


def _any_case(words: str) -> str:
    return re.sub(r"[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", words)


# Anywhere in a name: what signed links of S3, Google and Azure carry, and what services call keys.
_PARTS: Final = _any_case(
    "x-amz-|x-goog-|accessid|accesskey|authoriz|bearer|connectionstring|connection_string"
    "|credential|passcode|passphrase|passw|secret|session|signature|token"
)
# Too short to mean something inside another word, such as `author` or `design`.
_WORDS: Final = _any_case("auth|hmac|jwt|key|pass|pw|pwd|sas|se|sig|sv")
_CHARACTER: Final = r"[\w.%$+~\[\]-]"
# Nobody encodes a letter but to hide it.
_ENCODED: Final = r"%(?:25|[46][1-9A-Fa-f]|[57][0-9Aa])"

# The name of a parameter or an option whose value is a secret.
_NAME: Final = (
    # By looking ahead, which takes a name once: a long one costs no more than its length.
    rf"(?={_CHARACTER}*(?:{_PARTS}|{_ENCODED}|{_any_case('key')}(?!{_CHARACTER}))"
    rf"|(?:{_CHARACTER}*[-_.])?(?:{_WORDS})(?![A-Za-z0-9%])){_CHARACTER}*"
)

_USER: Final = (
    # user@ or user:password@ before the host; a name alone is not a secret to ssh.
    r"(?<!sftp)(?<!ssh):/+[^/@]*@"
    # A secret may hold slashes; a number after the colon is a port.
    r"|://[^/:@]+:(?!\d+(?:[/?#]|$))[^@]*@"
)

# A location with a user, or with a query or a fragment that has a secret.
SECRET_LOCATION: Final = rf"{_USER}|(?:[?&#;]|%2[36]|%3[BbFf]){_NAME}(?:=|%3[Dd])"

# Options of Beam whose names only look like secrets.
_HARMLESS: Final = (
    "allow_non_deterministic_key_coders|dataflow_kms_key|enable_hot_key_logging|no_auth"
)

# An option as KEY=VALUE that has a secret in its name or its value.
SECRET_OPTION: Final = (
    rf"^(?!-{{0,2}}(?:{_HARMLESS})=)-{{0,2}}{_NAME}="
    # A value may be a location, or JSON or a list with variables for a worker.
    rf"|[^\w.%$+~\[\]-]{_NAME}(?:=|[\"']\s*[:=])|{SECRET_LOCATION}"
)

_LOCATION: Final = re.compile(SECRET_LOCATION)
_OPTION: Final = re.compile(SECRET_OPTION)
_IN_MESSAGE: Final = re.compile(
    # The query of any link, since servers redirect to signed ones.
    r"(?P<link>https?://[^\s'\"<>?#]*)[?#][^\s'\"<>]*",
    re.IGNORECASE,
)


def is_secret_location(uri: str) -> bool:
    """Return whether a location holds a password, a key or a signature."""
    return _LOCATION.search(uri) is not None


def is_secret_option(pair: str) -> bool:
    """Return whether an option, KEY=VALUE, holds a secret."""
    return _OPTION.search(pair) is not None


def without_credentials(text: str) -> str:
    """Return a message without users, queries and fragments of the URLs in it."""
    return _IN_MESSAGE.sub(r"\g<link>", re.sub(r"://[^/@\s]+@", "://", text))
