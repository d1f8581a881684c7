"""What publishers write as a license, as an SPDX expression: a license of their own becomes ``LicenseRef-…``. Pure."""

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_UNKNOWN = frozenset({"", "other", "unknown", "none", "inf", "custom", "proprietary", "see-license"})
_SPELLINGS = {
    "apache": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache-2.0 license": "Apache-2.0",
    "mit license": "MIT",
    "bsd": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "gpl3": "GPL-3.0-only",
}


def spdx_of(text: str) -> str:
    """Return the SPDX expression that a publisher's word for a license means; empty if it says nothing.

    Args:
        text: As published: ``apache-2.0``, ``llama3.1``, ``other``.
    """
    word = text.strip()
    if word.lower() in _UNKNOWN:
        return ""
    meant = _SPELLINGS.get(word.lower(), word)
    try:
        return str(canonicalize_license_expression(meant))
    except InvalidLicenseExpression:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", word.removeprefix("LicenseRef-")).strip("-.")
        return f"LicenseRef-{name}" if name else ""
