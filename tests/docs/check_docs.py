#!/usr/bin/python3
"""The documents against the tree: relative links lead somewhere, and docs/ARCHITECTURE.md has a
word for every folder that holds source and for every file of the rooms it describes."""
import os
import re
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SOURCE = (".c", ".h", ".py", ".sh", ".json", ".service", ".socket", ".in")
ROOMS = ("include/vta", "proto", "core", "compiler", "service", "client", "server")


def walk(root):
    """(folder relative to root, file names), without builds and hidden folders."""
    for path, folders, names in os.walk(root):
        folders[:] = [name for name in sorted(folders) if name[0] != "." and
                      not name.startswith("build") and name != "__pycache__"]
        yield os.path.relpath(path, root), sorted(names)


def anchors(path):
    """What GitHub makes of a document's headings."""
    with open(path, encoding="utf-8") as document:
        headings = re.findall(r"^#+ +(.*)$", document.read(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in headings}


def broken_links(root):
    for folder, names in walk(root):
        for name in names:
            if not name.endswith(".md"):
                continue
            path = os.path.join(root, folder, name)
            with open(path, encoding="utf-8") as document:
                text = re.sub(r"```.*?```", "", document.read(), flags=re.DOTALL)
            for link in LINK.findall(text):
                if re.match(r"[a-z]+:", link):
                    continue
                target, _, anchor = link.partition("#")
                goal = os.path.normpath(os.path.join(root, folder, target)) if target else path
                if not os.path.exists(goal):
                    yield f"{folder}/{name}: link to {link}: there is no such file"
                elif anchor and goal.endswith(".md") and anchor not in anchors(goal):
                    yield f"{folder}/{name}: link to {link}: there is no such heading"


def described(text, room):
    """The names in the first column of a room's table in docs/ARCHITECTURE.md."""
    section = re.search(rf"^### `{re.escape(room)}/`.*?(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`[^|]*) \|", section.group() if section else "", re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def unmentioned(root):
    with open(os.path.join(root, "docs", "ARCHITECTURE.md"), encoding="utf-8") as document:
        text = document.read()
    for folder, names in walk(root):
        sources = [name for name in names if name.endswith(SOURCE)]
        if folder != "." and sources and f"`{folder}/`" not in text and "/corpus" not in folder:
            yield f"docs/ARCHITECTURE.md does not mention the folder `{folder}/`"
        if folder in ROOMS:
            stems = {os.path.splitext(name)[0] for name in sources}
            names_said = described(text, folder)
            for stem in sorted(stems - names_said):
                yield f"docs/ARCHITECTURE.md does not describe {folder}/{stem}"
            for stem in sorted(names_said - stems):
                yield f"docs/ARCHITECTURE.md describes {folder}/{stem}, which is not there"


def main(root):
    complaints = list(broken_links(root)) + list(unmentioned(root))
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
