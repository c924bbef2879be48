"""Host names with characters beyond ASCII, in the form of DNS, SNI, certificates and URLs (UTS #46, as in the WHATWG
URL standard).

One function for all of them, so that a name is the same server everywhere. Where browsers differ from IDNA 2008 it
follows browsers: emoji are letters, and hyphens may be anywhere. Pure: no I/O.
"""

from __future__ import annotations

_MAX_CHARACTERS = 1024
"""The longest name that is converted. DNS allows 253; Punycode takes time with the square of a label's length."""
_MAX_LABEL = 63
"""The longest label that is converted, in characters of its A-label (RFC 1035, 2.3.4)."""
_ACE = "xn--"
_JOINERS = frozenset("\u200c\u200d")


def to_ascii(name: str) -> str:
    """`name` in lower case with A-labels (`straße.de` → `xn--strae-oqa.de`); a final dot stays.

    A name in ASCII is only converted to lower case, and its A-labels are not checked: DNS gets it as it is. Raises
    UnicodeError for any other name that UTS #46 does not allow.
    """
    if name.isascii():
        return name.lower()
    if len(name) > _MAX_CHARACTERS:
        raise UnicodeError(f"a host name of {len(name)} characters is too long")
    from idna import IDNAError  # takes 20 ms to import, and few names need it
    from idna.core import uts46_remap

    try:
        mapped = uts46_remap(name, std3_rules=False)
        return ".".join([_a_label(label) for label in mapped.split(".")])
    except (IDNAError, UnicodeError) as error:
        raise UnicodeError(f"{name!r} is not a host name: {error}") from None


def _a_label(label: str) -> str:
    if not label.startswith(_ACE):
        if label.isascii():
            return label
        _check(label)
        a_label = _ACE + label.encode("punycode").decode("ascii")
        if len(a_label) > _MAX_LABEL:
            raise UnicodeError(f"one of its labels has {len(a_label)} characters, DNS allows {_MAX_LABEL}")
        return a_label
    decoded = label[len(_ACE) :].encode("ascii").decode("punycode")
    if not decoded or decoded.isascii() or _ACE + decoded.encode("punycode").decode("ascii") != label:
        raise UnicodeError(f"{label} is not Punycode (RFC 3492)")
    _check_is_mapped(decoded)
    _check(decoded)
    return label


def _check_is_mapped(label: str) -> None:
    """Check that the content of an A-label has the form that the mapping produces (UTS #46, 4.1)."""
    from idna.core import uts46_remap

    if uts46_remap(label, std3_rules=False) != label or "." in label:
        raise UnicodeError("it holds characters that A-labels may not hold")


def _check(label: str) -> None:
    """Check a label by UTS #46, 4.1: no combining mark at its beginning, valid joiners, the bidi rule of RFC 5893."""
    from idna.core import check_bidi, check_initial_combiner, valid_contextj

    check_initial_combiner(label)
    for index, character in enumerate(label):
        if character in _JOINERS and not valid_contextj(label, index):
            raise UnicodeError(f"U+{ord(character):04X} joins nothing")
    check_bidi(label)
