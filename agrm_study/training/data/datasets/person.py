"""Parsing of sex and age, and column names for site, sex and age in English, German and French spreadsheets."""

from __future__ import annotations

import re
import unicodedata

HEADERS: dict[str, tuple[str, ...]] = {
    "site": ("site", "center", "centre", "hospital", "clinic", "standort", "zentrum", "klinik", "hopital", "clinique"),
    "sex": ("sex", "gender", "geschlecht", "sexe", "genre"),
    "age": (
        "age",
        "ageyears",
        "agey",
        "years",
        "alter",
        "alterjahre",
        "alterinjahren",
        "jahre",
        "ageans",
        "ageenannees",
    ),
}
"""Lower-case column names without accents or punctuation; earlier spellings take precedence."""
SEXES = {
    **dict.fromkeys(("m", "male", "boy", "man", "mannlich", "maennlich", "junge", "mann", "masculin", "garcon", "homme",
                     "h"), "male"),
    **dict.fromkeys(("f", "female", "girl", "woman", "w", "weiblich", "madchen", "maedchen", "frau", "feminin", "fille",
                     "femme"), "female"),
}  # fmt: skip
SEX_CHOICES = "male, female, m, f, their German or French equivalents, or empty"
OLDEST = 130
"""Maximum age of a subject, in years; larger numbers are ages in months or errors."""


def squeezed(text: str) -> str:
    """Text in lower case without accents, whitespace or punctuation."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return re.sub(r"[\W_]+", "", plain.lower())


def read_sex(text: str) -> str | None:
    """`male` or `female`; None for blank text.

    Raises:
        ValueError: If the text is unknown.
    """
    if not text.strip():
        return None
    if (sex := SEXES.get(squeezed(text))) is None:
        raise ValueError("unknown sex")
    return sex


def read_age(text: str) -> float | None:
    """Age in years from text such as `5.5`, `5,5` or `7 years`; None for blank text.

    Raises:
        ValueError: If the text is not an age; the message states the rule.
    """
    if not text.strip():
        return None
    match = re.fullmatch(
        r"(\d{1,3}(?:[.,]\d+)?)\s*(?:y|yr|yrs|year|years|j|jahr|jahre|an|ans)?\.?", text.strip(), re.IGNORECASE
    )
    if match is None:
        raise ValueError("must be a number of years")
    age = float(match[1].replace(",", "."))
    if age > OLDEST:
        raise ValueError(f"must be at most {OLDEST} years")
    return age
