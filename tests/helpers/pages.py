"""The pages of the documentation: their code, headings and links."""

import re

from helpers.paths import ROOT

# Built pages, and what the gallery and the API pages are built into, are not sources.
_BUILT = {"_build", "gallery", "api"}
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if not _BUILT & set(p.relative_to(ROOT / "docs").parts[:-1])),
]
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})([^\n`]*)\n(.*?)^\1\2 *$", flags=re.MULTILINE | re.DOTALL)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def code_blocks(page, language):
    """Code of the fenced blocks of a language, without the indentation that they share."""
    return [
        re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE)
        for match in _FENCE.finditer(page.read_text())
        if match[3].strip() == language
    ]


def prose(text):
    """Markdown without fenced code, code spans and formulas, which may look like links."""
    text = _FENCE.sub(lambda match: match[0] if match[3].startswith("{") else "", text)
    return re.sub(r"(`+)(?:(?!\n\n).)+?\1|\$\$.*?\$\$|\$[^$\n]+\$", "code", text, flags=re.DOTALL)


def links(page):
    """Targets of links and images of a page."""
    text = prose(page.read_text())
    found = re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    found += re.findall(r"^ *\[[^\]]+\]: +(\S+)", text, flags=re.MULTILINE)
    found += re.findall(r"<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"", text)
    found += re.findall(r"^ *(?:`{3,}|:{3,})\{(?:image|figure)\} +(\S+)", text, flags=re.MULTILINE)
    return found


def anchors(page):
    """What a link to a part of a page may name: its headings, as GitHub and MyST spell them, and labels."""
    text = _FENCE.sub("", page.read_text())
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, flags=re.MULTILINE):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        n = seen[slug] = seen.get(slug, -1) + 1
        found.add(f"{slug}-{n}" if n else slug)
    return found | set(re.findall(r"^\(([\w.-]+)\)=$", text, flags=re.MULTILINE))
