#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""documents.py links|pictures|commands|services ROOT PROGRAMS: what the documents name is there. Needs no network.

links: files and #anchors of Markdown links; pictures: SVGs are well-formed; commands: verbs of viscumctl and targets
of make; services: whole service files are valid. Exit code 1, and a line for each mistake."""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

FOREIGN_TARGETS = {"menuconfig", "package"}  # of OpenWrt's own tree
FENCE = re.compile(r"^\s*```")


def documents(root):
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "build"))]
        for name in files:
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def prose(path):
    """The lines outside of fenced blocks, with their numbers."""
    fenced = False
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if FENCE.match(line):
                fenced = not fenced
            elif not fenced:
                yield number, line


def anchors(path):
    """As GitHub makes them: small letters, punctuation away, blanks to dashes, numbered where they repeat."""
    seen = {}
    for _, line in prose(path):
        heading = re.match(r"#{1,6} +(.*?)\s*#*$", line)
        if heading:
            text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading.group(1))
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            yield slug if count == 0 else f"{slug}-{count}"


def links(root, _programs):
    for path in documents(root):
        for number, line in prose(path):
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                full = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
                if not os.path.exists(full):
                    yield f"{path}:{number}: there is no {file}"
                elif anchor and full.endswith(".md") and anchor not in set(anchors(full)):
                    yield f"{path}:{number}: {file or 'this file'} has no heading #{anchor}"


def pictures(root, _programs):
    for folder, _, files in os.walk(os.path.join(root, "docs")):
        for path in (os.path.join(folder, name) for name in files if name.endswith(".svg")):
            try:
                picture = xml.etree.ElementTree.parse(path).getroot()
                if not picture.tag.endswith("svg"):
                    yield f"{path}: is no SVG"
                elif folder.endswith("pictures") and not all(
                        picture.findtext(f"{{http://www.w3.org/2000/svg}}{part}") for part in ("title", "desc")):
                    yield f"{path}: has no title or no desc"
            except xml.etree.ElementTree.ParseError as error:
                yield f"{path}: {error}"


def commands(root, programs):
    said = subprocess.run([f"{programs}/viscumctl", "--help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+) ", said.split("ubcommands:", 1)[-1].split("\n\n")[0], re.M | re.I))
    with open(os.path.join(root, "Makefile"), encoding="utf-8") as file:
        targets = set(re.findall(r"^([a-z-]+):", file.read(), re.M)) | FOREIGN_TARGETS
    helps = {}
    for path in documents(root):
        if not re.search(r"(README|docs/[a-z-]+)\.md$", path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for known, pattern, what in ((verbs, r"viscumctl", "verb"), (targets, r"make", "target")):
            for match in re.finditer(rf"(?:`|^[ \t]*(?:# |sudo )?){pattern} ([a-z-]+)([^`\n#;&|]*)", text, re.M):
                place = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
                if match.group(1).startswith("-"):
                    continue
                if match.group(1) not in known:
                    yield f"{place}: there is no {what} '{match.group(1)}'"
                elif what == "verb" and match.group(1) not in ("image", "bundle"):
                    verb = match.group(1)
                    if verb not in helps:
                        helps[verb] = subprocess.run([f"{programs}/viscumctl", verb, "--help"], capture_output=True,
                                                     text=True, check=True).stdout
                    for option in re.findall(r" (--[a-z-]+)", match.group(2).split(" -- ")[0]):
                        if option not in helps[verb]:
                            yield f"{place}: viscumctl {verb} has no {option}"


def services(root, programs):
    for path in documents(root):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for block in re.finditer(r"^```yaml\n(.*?)^```", text, re.M | re.S):
            body = block.group(1)
            if not (body.startswith("viscum: 1") and re.search(r"^name:", body, re.M)):
                continue
            answer = subprocess.run([f"{programs}/viscumctl", "--instance", "nobody", "validate", "-"], input=body,
                                    capture_output=True, text=True, check=False)
            if answer.returncode != 0:
                line = text.count("\n", 0, block.start()) + 1
                yield f"{path}:{line}: {answer.stderr.strip()}"


def main():
    checks = {"links": links, "pictures": pictures, "commands": commands, "services": services}
    mistakes = list(checks[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(mistakes), end="\n" if mistakes else "")
    return 1 if mistakes else 0


sys.exit(main())
