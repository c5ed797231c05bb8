"""What a request's body says: JSON without what JSON leaves open, and the rows in it with their hashes."""

import hashlib
import json
from typing import Any, NoReturn

from .limits import Refused

WANTED = 'want {"rows": [...]} with 1 to %d rows, as /openapi.json has them'


def read_json(body: bytes) -> Any:
    """Return what a body says; Refused where it is not JSON, or could be read in two ways."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=once, parse_constant=no_number)
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object each of whose names stands there once: of two, programs take different ones."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has one name twice")
    return found


def no_number(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError("NaN and Infinity are no numbers of JSON")


def read_rows(body: bytes, most: int) -> tuple[list[Any], list[str]]:
    """Return the rows of a request, still unchecked, and the hash of each."""
    given = read_json(body)
    rows = given["rows"] if isinstance(given, dict) and given.keys() == {"rows"} else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= most:
        raise Refused(422, WANTED % most)
    return rows, [digest(number, row) for number, row in enumerate(rows)]


def digest(number: int, row: Any) -> str:
    """Return the SHA-256 of a row as JSON with sorted keys and without spaces."""
    try:
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError:
        raise Refused(422, f"row {number}: a text holds half a character (a lone surrogate)") from None
    except (ValueError, RecursionError):
        raise Refused(422, f"row {number}: a number is too large, or it is nested too deeply") from None
